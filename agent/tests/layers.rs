//! The house has one direction: a module imports only what stands above it in `src/lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order in which data flows, as `src/lib.rs` declares them.
fn order() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap_or_default();
    lib.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned())).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file of a module, wherever it is kept.
fn files(module: &str) -> Vec<PathBuf> {
    let (file, mut folders, mut found) = (source().join(format!("{module}.rs")), vec![source().join(module)], Vec::new());
    found.extend(file.exists().then_some(file));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// The modules that a text names as `crate::module`, those within `crate::{a, b::c}` included.
fn named(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect::<String>();
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (at, char) in group.char_indices() {
                    match char {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        char if start && !char.is_whitespace() => {
                            found.push(word(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => found.push(word(rest)),
        }
    }
    found
}

#[test]
fn a_module_imports_only_what_stands_above_it() {
    let order = order();
    assert!(order.len() > 10, "lib.rs declares the modules as `pub mod name;`");
    let mut wrong = Vec::new();
    for (place, module) in order.iter().enumerate() {
        for file in files(module) {
            let text = fs::read_to_string(&file).unwrap();
            let below = named(&text).into_iter().filter(|name| order.iter().position(|other| other == name).is_some_and(|at| at > place));
            wrong.extend(below.map(|name| format!("{} imports {name}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn groups_of_imports_are_seen_too() {
    assert_eq!(named("use crate::{clock::{A, B}, outcome};\nuse crate::serve::Board;"), ["clock", "outcome", "serve"]);
}

#[test]
fn no_file_is_longer_than_a_room() {
    for module in order() {
        for file in files(&module) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines", file.display());
        }
    }
}
