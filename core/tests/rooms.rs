//! The rooms and their arrows: which part of the project may use which other part.
//!
//! In go all source files of both packages; out comes every path from one room into another that the table does not allow.
//! The compiler cannot say this, since all rooms of a package see each other. `ARCHITECTURE.md` shows the same table to people.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may use. Arrows run one way: cli → {controller, azure} → cloud → planner → units, and cli → simulator → world.
const ROOMS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("planner", &["units"]),
    // It must not agree with the planner by sharing its types.
    ("world", &[]),
    ("laws", &[]),
    ("twin", &["units", "planner", "world", "laws"]),
    ("api", &["units"]),
    ("clock", &["units"]),
    // The template passes from the manifest through the port into the body: one set of types for it, not three.
    ("cloud", &["units", "planner", "api"]),
    ("azure", &["units", "planner", "api", "cloud"]),
    ("controller", &["units", "planner", "cloud", "api", "clock"]),
    ("simulator", &["world"]),
    (
        "cli",
        &[
            "units",
            "planner",
            "world",
            "api",
            "clock",
            "cloud",
            "azure",
            "controller",
            "simulator",
        ],
    ),
    ("main", &["cli"]),
];

/// Crates of others that belong into certain rooms only.
const GUESTS: &[(&str, &[&str])] = &[
    ("azure_core", &["azure"]),
    ("azure_core_legacy", &["azure"]),
    ("azure_identity", &["azure"]),
    ("azure_mgmt_compute", &["azure"]),
    ("kube", &["api", "controller", "cli"]),
    ("k8s_openapi", &["api", "controller", "cli"]),
];

fn may_use(room: &str) -> Option<&'static [&'static str]> {
    let found = ROOMS.iter().find(|(name, _)| *name == room);
    found.map(|(_, others)| *others)
}

/// A file as it is judged: its room, how deep its module lies below the crate's root, its text.
struct Source {
    file: String,
    room: String,
    depth: usize,
    text: String,
}

impl Source {
    /// `path` is relative to the `src` of its package, such as `azure/errors/tests.rs`.
    fn new(path: &Path, file: String, text: String) -> Self {
        let mut names: Vec<String> = path
            .with_extension("")
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        if names.last().is_some_and(|last| last == "mod") {
            names.pop();
        }
        Self {
            file,
            room: names.first().cloned().unwrap_or_default(),
            depth: names.len(),
            text,
        }
    }

    /// What is wrong with it, one sentence a path.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (nth, line) in joined_uses(&self.text) {
            for used in reached(&line, self.depth) {
                if used == self.room {
                    continue;
                }
                let allowed = may_use(&self.room).is_some_and(|all| all.contains(&used.as_str()));
                if !allowed {
                    wrong.push(format!(
                        "{}:{nth}: {} may not use {used}: {}",
                        self.file,
                        self.room,
                        line.trim()
                    ));
                }
            }
            for (guest, rooms) in GUESTS {
                if has_path(&line, guest) && !rooms.contains(&self.room.as_str()) {
                    wrong.push(format!(
                        "{}:{nth}: {guest} belongs into {rooms:?}: {}",
                        self.file,
                        line.trim()
                    ));
                }
            }
        }
        wrong
    }
}

/// The lines without comments; a `use` that spans several is joined into its first.
fn joined_uses(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (nth, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if open && let Some((_, last)) = lines.last_mut() {
            last.push(' ');
            last.push_str(code.trim());
        } else {
            lines.push((nth + 1, code.to_owned()));
            let start = code.trim_start();
            let public = start.strip_prefix("pub").map_or(start, |rest| {
                rest.split_once(')')
                    .map_or(rest, |(_, rest)| rest)
                    .trim_start()
            });
            open = start.starts_with("use ") || public.starts_with("use ");
        }
        open = open && !code.contains(';');
    }
    lines
}

/// The rooms that the paths of a line lead to. A glob over a crate's root is the room `*`, which nobody may use.
fn reached(line: &str, depth: usize) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for root in ["crate", "spotpool_core", "spotpool"] {
        for rest in paths(line, root) {
            rooms.extend(heads(rest));
        }
    }
    // `super` often enough leads to the root as well. One `super` less is meant inside a `mod tests { … }`.
    for rest in paths(line, "super") {
        let (mut rest, mut ups) = (rest, 1);
        while let Some(more) = rest.strip_prefix("super::") {
            (rest, ups) = (more, ups + 1);
        }
        if ups >= depth {
            let known = |head: &String| may_use(head).is_some();
            rooms.extend(heads(rest).into_iter().filter(known));
        }
    }
    rooms
}

/// What follows `root::` wherever that begins a path.
fn paths<'a>(line: &'a str, root: &str) -> Vec<&'a str> {
    let start = format!("{root}::");
    line.match_indices(&start)
        .filter(|(at, _)| !in_a_name(line, *at) && !line[..*at].ends_with("super::"))
        .map(|(at, _)| &line[at + start.len()..])
        .collect()
}

fn has_path(line: &str, root: &str) -> bool {
    !paths(line, root).is_empty()
}

fn in_a_name(line: &str, at: usize) -> bool {
    line[..at]
        .chars()
        .next_back()
        .is_some_and(|before| before.is_alphanumeric() || before == '_')
}

/// The first names of a path: `world::{self, …}` has one, `{planner::plan, world}` two.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        let name: String = path
            .chars()
            .take_while(|c| c.is_alphanumeric() || "_*".contains(*c))
            .collect();
        return vec![name];
    };
    let (mut level, mut members, mut member) = (0_u32, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '}' if level == 0 => break,
            ',' if level == 0 => members.push(std::mem::take(&mut member)),
            _ => {
                level += u32::from(c == '{');
                level -= u32::from(c == '}');
                member.push(c);
            }
        }
    }
    members.push(member);
    members
        .iter()
        .map(|member| member.trim())
        .filter(|member| !member.is_empty())
        .flat_map(heads)
        .collect()
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> std::io::Result<Vec<Source>> {
    let mut found = Vec::new();
    for package in ["core/src", "src"] {
        let root = project().join(package);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let inside = path.strip_prefix(&root).unwrap_or(&path);
                // The root of a package only lists its rooms.
                let is_root = inside == Path::new("lib.rs");
                if path.extension().is_some_and(|kind| kind == "rs") && !is_root {
                    let text = std::fs::read_to_string(&path)?;
                    let file = format!("{package}/{}", inside.display());
                    found.push(Source::new(inside, file, text));
                }
            }
        }
    }
    Ok(found)
}

#[test]
fn no_room_uses_what_it_may_not() {
    let sources = sources().unwrap();
    let wrong: Vec<String> = sources.iter().flat_map(Source::wrong).collect();
    assert!(
        wrong.is_empty(),
        "arrows against the table of rooms (ARCHITECTURE.md); what both sides need belongs lower down:\n{}",
        wrong.join("\n")
    );
    let seen: BTreeSet<&str> = sources.iter().map(|one| one.room.as_str()).collect();
    let listed: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen, listed, "rooms that exist, and rooms of the table");
}

#[test]
fn the_table_has_no_circle() {
    // Read from the top, each room uses only what has been listed before it.
    let mut before = BTreeSet::new();
    for (room, uses) in ROOMS {
        for used in *uses {
            assert!(before.contains(used), "{room} uses {used}, listed below it");
        }
        before.insert(*room);
    }
}

#[test]
fn the_documentation_shows_the_same_table() {
    let text = std::fs::read_to_string(project().join("ARCHITECTURE.md")).unwrap();
    for (room, uses) in ROOMS {
        let row = text
            .lines()
            .filter(|line| line.starts_with("| `"))
            .find(|line| {
                let first = line.split('|').nth(1).unwrap_or_default();
                let name = first.trim().trim_matches('`').trim_end_matches('/');
                let name = name.trim_end_matches(".rs").rsplit('/').next();
                name == Some(*room)
            });
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for the room {room}"));
        let last = row.trim_end_matches([' ', '|']).rsplit('|').next();
        let told: BTreeSet<&str> = last
            .unwrap_or_default()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        let meant: BTreeSet<&str> = uses.iter().copied().collect();
        assert_eq!(
            told, meant,
            "what {room} may use, by ARCHITECTURE.md and by this test"
        );
    }
}

#[test]
fn finds_every_planted_wrong_import_and_lets_right_ones_pass() {
    let judge = |path: &str, text: &str| {
        Source::new(Path::new(path), path.to_owned(), text.to_owned()).wrong()
    };
    for (path, text) in [
        ("controller/turn.rs", "use crate::azure::Azure;"),
        (
            "controller/turn.rs",
            "    let azure = crate::azure::Azure::new();",
        ),
        ("controller/mod.rs", "use super::azure::Azure;"),
        (
            "controller/tests/turns.rs",
            "use super::super::super::azure;",
        ),
        ("controller/turn.rs", "use crate::{clock::Clock, azure};"),
        (
            "azure/mod.rs",
            "pub(super) use crate::controller::Settings;",
        ),
        ("api/pool.rs", "use crate::cloud::Shape;"),
        (
            "azure/mod.rs",
            "use spotpool_core::{\n    units::{Count, Etag},\n    world,\n};",
        ),
        ("simulator/arm.rs", "use spotpool_core::planner::Phase;"),
        ("simulator/arm.rs", "use spotpool_core::units::Etag;"),
        ("simulator/arm.rs", "use crate::clock::Clock;"),
        ("simulator/arm.rs", "use spotpool_core::*;"),
        ("simulator/arm.rs", "use azure_mgmt_compute::models;"),
        ("api/pool.rs", "use spotpool_core::planner::Desired;"),
        ("cloud.rs", "use kube::ResourceExt;"),
        ("cloud.rs", "use crate::azure::tags;"),
        ("planner/mod.rs", "use crate::world::Region;"),
        ("world/mod.rs", "use crate::units::Count;"),
        ("units.rs", "use crate::planner::plan;"),
        ("main.rs", "use spotpool::controller::run;"),
        ("elsewhere.rs", "use crate::units::Count;"),
    ] {
        assert_eq!(judge(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "controller/turn.rs",
            "use crate::cloud::Cloud; // not crate::azure",
        ),
        ("controller/turn.rs", "use super::pools::PoolState;"),
        ("controller/mod.rs", "    use super::*;"),
        (
            "azure/tests/act.rs",
            "super::super::instances::read_items()",
        ),
        ("azure/mod.rs", "pub(crate) use wire::Wire;"),
        ("azure/mod.rs", "use azure_core_legacy as ac;"),
        ("simulator/state.rs", "use super::clock::Clock;"),
        ("simulator/state.rs", "use crate::simulator::clock::Clock;"),
        (
            "simulator/mod.rs",
            "use spotpool_core::world::{self, Region};",
        ),
        ("main.rs", "spotpool::cli::run()"),
    ] {
        assert_eq!(judge(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}
