//! What the machine says: where files are looked for and kept, and what it is called.

use std::ffi::OsString;
use std::path::PathBuf;

use super::files;

/// A variable of the environment.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where `run` looks for a file; the error says where it looked.
pub fn find() -> Result<PathBuf, String> {
    find_in(&candidates(&|name| std::env::var_os(name)))
}

fn find_in(candidates: &[PathBuf]) -> Result<PathBuf, String> {
    let found = candidates.iter().find(|path| path.is_file() || files::in_directory(path).is_ok_and(|files| !files.is_empty()));
    found.cloned().ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        format!("no configuration found; looked for {}; name one with `-c`", looked.join(", "))
    })
}

/// In this order.
fn candidates(variable: Variable<'_>) -> Vec<PathBuf> {
    let user = folder(variable, "XDG_CONFIG_HOME", ".config").map(|folder| folder.join("vedette"));
    [Some(PathBuf::from("./vedette.yaml")), user, Some(PathBuf::from("/etc/vedette"))].into_iter().flatten().collect()
}

/// An XDG base directory. One that is not absolute is ignored, as its specification says.
fn folder(variable: Variable<'_>, name: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let said = variable(name).map(PathBuf::from).filter(absolute);
    said.or_else(|| variable("HOME").map(PathBuf::from).filter(absolute).map(|home| home.join(below_home)))
}

/// Where state is kept by default.
pub(super) fn state_dir() -> String {
    state_dir_of(&|name| std::env::var_os(name)).map_or_else(|| "off".to_owned(), |path| path.to_string_lossy().into_owned())
}

/// What systemd set up for the service, or else the user's; nothing without a home.
fn state_dir_of(variable: Variable<'_>) -> Option<PathBuf> {
    let service = variable("STATE_DIRECTORY").and_then(|paths| paths.to_string_lossy().split(':').next().map(PathBuf::from));
    service
        .filter(|path| path.is_absolute())
        .or_else(|| folder(variable, "XDG_STATE_HOME", ".local/state").map(|folder| folder.join("vedette")))
}

/// What this machine is called.
pub(super) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().trim().to_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    }

    fn paths(texts: &[&str]) -> Vec<PathBuf> {
        texts.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_configuration_is_looked_for_here_then_with_the_user_then_with_the_system() {
        let looked = |variables: &[(&str, &str)]| candidates(&environment(variables));
        assert_eq!(looked(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]), paths(&["./vedette.yaml", "/c/vedette", "/etc/vedette"]));
        assert_eq!(looked(&[("HOME", "/h")]), paths(&["./vedette.yaml", "/h/.config/vedette", "/etc/vedette"]));
        assert_eq!(looked(&[]), paths(&["./vedette.yaml", "/etc/vedette"]));
    }

    #[test]
    fn what_is_found_nowhere_is_told_with_where_it_was_looked_for() {
        let error = find_in(&paths(&["no/such.yaml", "no/such"])).unwrap_err();
        assert!(error.contains("no/such.yaml, no/such"), "{error}");
    }

    #[test]
    fn a_directory_counts_if_it_holds_yaml() {
        let folder = std::env::temp_dir().join(format!("vedette-find-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(find_in(std::slice::from_ref(&folder)).is_err());
        std::fs::write(folder.join("a.yml"), "").unwrap();
        assert_eq!(find_in(std::slice::from_ref(&folder)), Ok(folder.clone()));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn state_is_kept_where_the_service_manager_or_the_user_says() {
        let kept = |variables: &[(&str, &str)]| state_dir_of(&environment(variables));
        assert_eq!(kept(&[("STATE_DIRECTORY", "/var/lib/vedette:/x"), ("HOME", "/h")]), Some("/var/lib/vedette".into()));
        assert_eq!(kept(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), Some("/s/vedette".into()));
        assert_eq!(kept(&[("HOME", "/h")]), Some("/h/.local/state/vedette".into()));
        assert_eq!(kept(&[("HOME", "not/absolute")]), None);
    }
}
