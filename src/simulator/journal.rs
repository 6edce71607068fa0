//! Everything that ever changed the simulation, in the order in which it did, in a file: the same again, from the same seed, leads to the
//! same state, so that a simulator can be stopped and started again and has lost nothing.
//!
//! In: requests that changed something, when they did. Out: lines of JSON; and, at the next start, those lines again. Reads are not
//! kept, so what is counted of reads starts anew. The file holds what requests held, passwords included: nobody but its owner may read it.

use super::wire::Call;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Tokens are not needed to do the same again: whoever carried them was let in.
const LEFT_OUT: [&str; 3] = ["authorization", "x-ms-authorization-auxiliary", "cookie"];

/// The first line: what the rest can be done again with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beginning {
    /// How the world was started.
    pub simulator: String,
    /// Wall time of the world's zero, nanoseconds since 1970.
    pub began_unix_nanos: u64,
}

/// A request, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    body: String,
    #[serde(default)]
    encrypted: bool,
}

impl Asked {
    fn of(call: &Call) -> Self {
        let kept = |(name, _): &&(String, String)| !LEFT_OUT.contains(&name.as_str());
        Self {
            method: call.method.clone(),
            target: call.target.clone(),
            headers: call.headers.iter().filter(kept).cloned().collect(),
            body: String::from_utf8_lossy(&call.body).into_owned(),
            encrypted: call.encrypted,
        }
    }

    /// The request again, let in without a token.
    #[must_use]
    pub fn again(self) -> Call {
        let mut call = Call::new(
            &self.method,
            &self.target,
            self.headers,
            self.body.into_bytes(),
        );
        (call.encrypted, call.vouched) = (self.encrypted, true);
        call
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A request to ARM was carried out.
    Arm(Asked),
    /// So was one to the control API.
    Control(Asked),
    /// A request passed by the rules for faults, which count.
    Passed(Asked),
    /// The login host issued a token.
    #[allow(missing_docs, reason = "a token, and to which application")]
    Issued { token: String, client: String },
}

/// A change and its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// World time.
    pub at: u64,
    /// Requests to ARM before it: they number what comes after.
    pub requests: u64,
    /// What happened.
    pub change: Change,
}

/// What an earlier process has left.
#[derive(Debug)]
pub struct Past {
    /// How it began.
    pub beginning: Beginning,
    /// All changes.
    pub lines: Vec<Line>,
}

/// The file, or none.
#[derive(Debug, Default)]
pub struct Journal(Option<File>);

impl Journal {
    /// Opens a file: a new one begins with `beginning`; from one that is there comes the past.
    ///
    /// # Errors
    /// It cannot be read or written, is no journal, or was begun by a simulator that was started otherwise. It is left as it was.
    pub fn open(path: &Path, beginning: &Beginning) -> io::Result<(Self, Option<Past>)> {
        let told = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(path).map_err(told)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(told)?;
        let past = match text.is_empty() {
            true => None,
            false => Some(read(&text, beginning).map_err(|fact| told(io::Error::other(fact)))?),
        };
        // Whoever was killed while writing has left half a line, which nobody was answered.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)
            .and_then(|()| file.seek(io::SeekFrom::End(0)))
            .map_err(told)?;
        let mut journal = Self(Some(file));
        if past.is_none() {
            journal.write(beginning);
        }
        Ok((journal, past))
    }

    /// Whether changes are kept.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps a request to ARM that was carried out.
    pub fn carried_out(&mut self, at: u64, requests: u64, call: &Call) {
        self.keep(at, requests, || Change::Arm(Asked::of(call)));
    }

    /// Keeps a request to the control API that was carried out.
    pub fn controlled(&mut self, at: u64, requests: u64, call: &Call) {
        self.keep(at, requests, || Change::Control(Asked::of(call)));
    }

    /// Keeps that a request passed by the rules for faults.
    pub fn passed(&mut self, at: u64, requests: u64, call: &Call) {
        self.keep(at, requests, || Change::Passed(Asked::of(call)));
    }

    /// Keeps that a token was issued.
    pub fn issued(&mut self, at: u64, requests: u64, token: &str, client: &str) {
        let (token, client) = (token.to_owned(), client.to_owned());
        self.keep(at, requests, || Change::Issued { token, client });
    }

    fn keep(&mut self, at: u64, requests: u64, change: impl FnOnce() -> Change) {
        if self.is_kept() {
            let change = change();
            self.write(&Line {
                at,
                requests,
                change,
            });
        }
    }

    fn write(&mut self, line: &impl Serialize) {
        let Some(file) = &mut self.0 else { return };
        let written = serde_json::to_string(line)
            .map_err(io::Error::other)
            .and_then(|text| file.write_all(format!("{text}\n").as_bytes()));
        if let Err(error) = written {
            eprintln!(
                "spotpool simulator: the state file can no longer be written ({error}): what happens from now on is lost at the next start"
            );
            self.0 = None;
        }
    }
}

fn read(text: &str, beginning: &Beginning) -> Result<Past, String> {
    let mut lines = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
    let begun: Beginning = lines
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or("this is no state of a simulator; name another file")?;
    if begun.simulator != beginning.simulator {
        return Err(format!(
            "this is the state of a simulator that was started otherwise; start it the same way, or name another file\n  then: {}\n  now:  {}",
            begun.simulator, beginning.simulator
        ));
    }
    let read = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 2))
    };
    let lines = lines.enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(Past {
        beginning: begun,
        lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(simulator: &str) -> Beginning {
        Beginning {
            simulator: simulator.to_owned(),
            began_unix_nanos: 7,
        }
    }

    fn put() -> Call {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            header("authorization", "Bearer hunter2"),
            header("if-match", "\"1\""),
        ];
        Call::new("PUT", "/x?y=1", headers, b"{}".to_vec())
    }

    #[test]
    fn what_was_kept_is_read_again_and_half_a_line_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let (mut journal, past) = Journal::open(&path, &begun("a")).unwrap();
        assert!(past.is_none());
        journal.carried_out(5, 1, &put());
        journal.issued(6, 1, "token", "me");
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(!kept.contains("hunter2"), "{kept}");
        std::fs::write(&path, format!("{kept}{{\"at\":7,\"requ")).unwrap();

        let (mut journal, past) = Journal::open(&path, &begun("a")).unwrap();
        let past = past.unwrap();
        assert_eq!(
            (past.beginning, past.lines.len()),
            (begun("a"), 2),
            "{kept}"
        );
        let Change::Arm(asked) = past.lines[0].change.clone() else {
            panic!("{:?}", past.lines)
        };
        let call = asked.again();
        assert_eq!(
            (call.header("if-match"), call.vouched),
            (Some("\"1\""), true)
        );
        journal.issued(8, 2, "another", "me");
        let (_, past) = Journal::open(&path, &begun("a")).unwrap();
        assert_eq!(past.unwrap().lines.len(), 3);
    }

    #[test]
    fn a_file_of_something_else_or_of_another_simulator_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        std::fs::write(&path, "shopping list\n").unwrap();
        let error = Journal::open(&path, &begun("a")).unwrap_err().to_string();
        assert!(error.contains("no state of a simulator"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "shopping list\n");
        std::fs::remove_file(&path).unwrap();
        Journal::open(&path, &begun("a")).unwrap();
        let error = Journal::open(&path, &begun("b")).unwrap_err().to_string();
        assert!(error.contains("started otherwise"), "{error}");
    }
}
