//! Whether a component fits: what it exports, and whether all that it imports is served. What does not fit is told by
//! name, with what to do.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::masks::Masks;
use super::tidy::{MESSAGE, Tidy};
use super::{Kind, wasi};

const PACKAGE: &str = "vedette:plugin/";

/// Of the interface in `wit/`.
const VERSION: &str = "0.1.0";
/// Later ones of the same line have everything that this one has.
const LINE: &str = "0.1.";

const FOR_CHECKERS: [&str; 9] = ["types", "net", "log", "clock", "random", "secrets", "state", "trace", "http"];
const FOR_SUMMARISERS: [&str; 2] = ["types", "log"];

/// What the component is, if it is a plugin that this agent can serve.
pub(super) fn fit(engine: &Engine, component: &Component) -> Result<Kind, String> {
    let ty = component.component_type();
    let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
    let kind = kind(&exports)?;
    ty.imports(engine).try_for_each(|(name, _)| served(name, kind)).map(|()| kind)
}

fn kind(exports: &[&str]) -> Result<Kind, String> {
    let export = |wanted: &str| exports.iter().copied().find(|name| Interface::of(name).is_some_and(|it| it.name == wanted));
    let (kind, name) = match (export("checker"), export("summariser")) {
        (Some(name), None) => (Kind::Checker, name),
        (None, Some(name)) => (Kind::Summariser, name),
        (Some(_), Some(_)) => return Err(format!("it exports both `{PACKAGE}checker` and `{PACKAGE}summariser`; a plugin is one of them")),
        (None, None) => return Err(format!("it exports neither `{PACKAGE}checker` nor `{PACKAGE}summariser`, so it is no plugin")),
    };
    Interface::of(name).filter(Interface::is_of_this_line).map(|_| kind).ok_or_else(|| built_against(name))
}

fn served(name: &str, kind: Kind) -> Result<(), String> {
    let for_kind = match kind {
        Kind::Checker => &FOR_CHECKERS[..],
        Kind::Summariser => &FOR_SUMMARISERS[..],
    };
    let hint = match Interface::of(name) {
        Some(interface) if for_kind.contains(&interface.name) && interface.is_of_this_line() => return Ok(()),
        Some(interface) if for_kind.contains(&interface.name) => return Err(built_against(name)),
        Some(interface) if FOR_CHECKERS.contains(&interface.name) => "a summariser has its log and nothing else",
        Some(_) => "this version of vedette does not have it",
        None if kind == Kind::Checker && is_of_wasi(name) => return Ok(()),
        None if kind == Kind::Summariser => "a summariser has its log and nothing else",
        None => foreign(name),
    };
    Err(format!("it imports `{}`, which is not served: {hint}", shown(name)))
}

fn is_of_wasi(name: &str) -> bool {
    name.split_once('@').is_some_and(|(name, version)| wasi::SERVED.contains(&name) && version.starts_with("0.2."))
}

/// What to do about an import that is not of our package.
fn foreign(name: &str) -> &'static str {
    if name.starts_with("wasi:http/") {
        "a plugin asks through `vedette:plugin/http`; build it without `wasi:http` (componentize-js: `--disable http --disable fetch-event`)"
    } else if name.starts_with("wasi:sockets/") {
        "a plugin has no sockets; it asks through `vedette:plugin/http`"
    } else if name.starts_with("wasi:") {
        "of WASI a plugin has 0.2: `wasi:cli`, `clocks`, `filesystem`, `io` and `random`"
    } else {
        "a plugin imports `vedette:plugin` and nothing else"
    }
}

fn built_against(name: &str) -> String {
    format!(
        "it is built against `{}`, this agent has {VERSION}; build it with the `wit/` of this version, or use the agent it is for",
        shown(name)
    )
}

/// Names are the guest's words.
fn shown(name: &str) -> String {
    Tidy(&Masks::default()).text(name.to_owned(), MESSAGE / 2)
}

/// `http` and `0.1.0` of `vedette:plugin/http@0.1.0`.
struct Interface<'a> {
    name: &'a str,
    version: &'a str,
}

impl<'a> Interface<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let (name, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
        Some(Self { name, version })
    }

    fn is_of_this_line(&self) -> bool {
        self.version.strip_prefix(LINE).is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_of_the_interface_is_told_by_both_numbers() {
        for version in ["0.2.0", "1.0.0", "0.10.0", "0.1.0-rc.1"] {
            let message = served(&format!("vedette:plugin/http@{version}"), Kind::Checker).unwrap_err();
            assert!(
                message.starts_with(&format!("it is built against `vedette:plugin/http@{version}`, this agent has 0.1.0")),
                "{message}"
            );
            assert!(kind(&[&format!("vedette:plugin/checker@{version}")]).unwrap_err().contains("this agent has 0.1.0"));
        }
        assert_eq!(served("vedette:plugin/http@0.1.7", Kind::Checker), Ok(()));
        assert_eq!(kind(&["other", "vedette:plugin/summariser@0.1.0"]), Ok(Kind::Summariser));
    }

    #[test]
    fn what_is_not_served_is_told_with_what_to_do() {
        for (name, hint) in [
            ("wasi:http/outgoing-handler@0.2.0", "--disable http"),
            ("wasi:sockets/tcp@0.2.0", "no sockets"),
            ("wasi:keyvalue/store@0.2.0", "of WASI a plugin has 0.2"),
            ("wasi:cli/environment@0.3.0", "of WASI a plugin has 0.2"),
            ("vedette:plugin/quantum@0.1.0", "does not have it"),
            ("acme:own/thing@1.0.0", "nothing else"),
        ] {
            let message = served(name, Kind::Checker).unwrap_err();
            assert!(message.contains(&format!("`{name}`")) && message.contains(hint), "{message}");
        }
        assert_eq!(served("wasi:cli/environment@0.2.6", Kind::Checker), Ok(()));
        assert!(served("wasi:cli/environment@0.2.6", Kind::Summariser).unwrap_err().contains("its log and nothing else"));
        assert!(served("vedette:plugin/http@0.1.0", Kind::Summariser).unwrap_err().contains("its log and nothing else"));
    }
}
