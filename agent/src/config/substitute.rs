//! `${env:NAME}` and `${file:PATH}` within a scalar. One `$` more writes them as they stand.

use std::borrow::Cow;
use std::path::Path;

use crate::bounded;

/// A file that is put into a scalar is no longer than a scalar may be.
const LONGEST: u64 = 1 << 20;

/// What may stand in braces.
const KINDS: [&str; 2] = ["{env:", "{file:"];

/// The text with everything substituted, or why that cannot be.
pub(super) fn substitute<'a>(text: &'a str, folder: &Path) -> Result<Cow<'a, str>, String> {
    let mut result = String::new();
    let mut rest = text;
    let mut same = true;
    while let Some(at) = rest.find('$') {
        let after = rest[at..].trim_start_matches('$');
        let dollars = rest.len() - at - after.len();
        let kind = KINDS.iter().find(|kind| after.starts_with(**kind));
        let literal = kind.map_or(dollars, |_| dollars - 1);
        result.push_str(&rest[..at + literal]);
        rest = after;
        same &= kind.is_none();
        let Some(kind) = kind.filter(|_| dollars == 1) else { continue };
        let Some((name, behind)) = after[kind.len()..].split_once('}') else {
            return Err(format!("`${kind}` has no closing `}}`"));
        };
        result.push_str(&if *kind == KINDS[0] { variable(name)? } else { contents(&folder.join(name))? });
        rest = behind;
    }
    if same {
        return Ok(Cow::Borrowed(text));
    }
    result.push_str(rest);
    Ok(Cow::Owned(result))
}

/// A text that reads as this one.
pub(super) fn escape(text: &str) -> String {
    KINDS.iter().fold(text.to_owned(), |text, kind| text.replace(&format!("${kind}"), &format!("$${kind}")))
}

fn variable(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        _ if name.is_empty() => Err("`${env:}` names no variable".to_owned()),
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Err(format!("the environment variable `{name}` is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable `{name}` is not UTF-8")),
    }
}

/// A final newline is not part of it: editors write one.
fn contents(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = bounded::read(path, LONGEST).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    let mut text = String::from_utf8(bytes).map_err(|_| format!("`{shown}` is not UTF-8 text"))?;
    let kept = text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(kept);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substituted(text: &str) -> Result<String, String> {
        substitute(text, Path::new(env!("CARGO_MANIFEST_DIR"))).map(Cow::into_owned)
    }

    #[test]
    fn the_environment_and_files_are_put_into_a_text() {
        let name = std::env::var("CARGO_PKG_NAME").unwrap();
        assert_eq!(substituted("a-${env:CARGO_PKG_NAME}-${env:CARGO_PKG_NAME}$"), Ok(format!("a-{name}-{name}$")));
        assert!(substituted("${file:./Cargo.toml}").unwrap().starts_with("[package]"));
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in ["", "$", "${HOME}", "$.status", "costs 5$ {env:X}", "^a{2}$"] {
            assert_eq!(substituted(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_dollar_more_writes_it_as_it_stands_and_escaping_undoes_that() {
        assert_eq!(substituted("$${env:X} $$${file:y}"), Ok("${env:X} $${file:y}".to_owned()));
        for text in ["${env:X}", "$${file:y}", "$$$", "${HOME}"] {
            assert_eq!(substituted(&escape(text)), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        assert!(substituted("${env:VEDETTE_HAS_NO_SUCH}").unwrap_err().contains("`VEDETTE_HAS_NO_SUCH` is not set"));
        assert!(substituted("${file:no/such}").unwrap_err().contains("no/such"));
        assert!(substituted("${env:OPEN").unwrap_err().contains("no closing"));
        assert!(substituted("${file:/dev/zero}").unwrap_err().contains("a device"));
    }
}
