//! The record of every request to ARM and its reply, one JSON object a line, without secrets: in memory for the control
//! API, and in a file when asked for.

use super::wire::{Call, Reply};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;

/// Bytes kept in memory; lists of many instances make long lines.
const KEPT: usize = 64 << 20;
/// Values that never appear.
const SECRET_HEADERS: [&str; 3] = ["authorization", "x-ms-authorization-auxiliary", "cookie"];
const SECRET_FIELDS: [&str; 6] = [
    "access_token",
    "adminPassword",
    "customData",
    "userData",
    "protectedSettings",
    "secrets",
];

/// The record.
#[derive(Debug, Default)]
pub struct Log {
    lines: VecDeque<String>,
    bytes: usize,
    file: Option<File>,
}

impl Log {
    /// Also writes to this file.
    #[must_use]
    pub fn to_file(file: Option<File>) -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            file,
        }
    }

    /// Records one exchange; `None`: it got no answer.
    pub fn exchange(&mut self, time: &str, call: &Call, reply: Option<&Reply>) {
        let response = reply.map(|r| json!({"statusCode": r.status, "headers": headers(&r.headers), "body": r.body.clone().map_or(Value::Null, redacted)}));
        let body = match (
            call.body.is_empty(),
            serde_json::from_slice::<Value>(&call.body),
        ) {
            (true, _) => Value::Null,
            (false, Ok(json)) => redacted(json),
            (false, Err(_)) => json!(format!("{} bytes that are not JSON", call.body.len())),
        };
        let request = json!({"method": call.method, "url": format!("{}{}", call.base(), call.target), "headers": headers(&call.headers), "body": body});
        let line = json!({"time": time, "request": request, "response": response}).to_string();
        if let Some(file) = &mut self.file {
            // A full disk must not stop the simulation; the lines stay readable through the control API.
            if writeln!(file, "{line}").is_err() {
                self.file = None;
            }
        }
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > KEPT {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
    }

    /// All lines still kept.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().map(|l| format!("{l}\n")).collect()
    }
}

fn headers(list: &[(String, String)]) -> Value {
    let shown = |name: &str, value: &str| {
        if SECRET_HEADERS.contains(&name) {
            json!("***")
        } else {
            json!(value)
        }
    };
    list.iter()
        .map(|(name, value)| (name.clone(), shown(name, value)))
        .collect::<Map<_, _>>()
        .into()
}

fn redacted(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| {
                // Lists are references to a vault, such as osProfile.secrets.
                if SECRET_FIELDS.contains(&key.as_str()) && !value.is_array() {
                    (key, json!("***"))
                } else if key == "parameters" {
                    // Of a deployment: which of them are secrets, its template says elsewhere.
                    let names = value.as_object().into_iter().flatten();
                    let hidden = names.map(|(name, _)| (name.clone(), json!("***")));
                    (key, hidden.collect::<Map<_, _>>().into())
                } else {
                    (key, redacted(value))
                }
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(redacted).collect::<Vec<_>>().into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_tokens_nor_passwords_are_written() {
        let call = Call::new(
            "PUT",
            "/x?y=1",
            vec![("authorization".into(), "Bearer hunter2".into())],
            br#"{"osProfile":{"adminPassword":"hunter2"},"protectedSettings":{"script":"hunter2"}}"#.to_vec(),
        );
        let mut log = Log::default();
        log.exchange("now", &call, Some(&Reply::empty(200)));
        assert!(!log.text().contains("hunter2"));
        assert!(
            log.text().contains(r#""authorization":"***""#),
            "{}",
            log.text()
        );
    }
}
