//! A request and a reply as plain data, and ARM's envelopes around errors. Nothing here knows a socket.

use serde_json::{Value, json};
use spotpool_core::world::Refusal;

/// A request to ARM, its body not yet read as JSON.
#[derive(Clone, Debug)]
pub struct Call {
    /// Upper case.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Decoded path segments.
    pub segments: Vec<String>,
    /// Decoded query parameters.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As sent.
    pub body: Vec<u8>,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// It was let in before and is done again: no token is asked for.
    pub vouched: bool,
}

impl Call {
    /// Takes a request apart.
    #[must_use]
    pub fn new(method: &str, target: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path
            .split('/')
            .filter(|s| !s.is_empty())
            .map(|s| decoded(s, false))
            .collect();
        let query = query
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .map(|(k, v)| (decoded(k, true), decoded(v, true)))
            .collect();
        Self {
            method: method.to_uppercase(),
            target: target.to_owned(),
            segments,
            query,
            headers,
            body,
            encrypted: false,
            vouched: false,
        }
    }

    /// A query parameter; names are compared without regard to case, as ARM does.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.as_str())
    }

    /// Where the caller reached us: links in replies lead there again.
    #[must_use]
    pub fn base(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        let host = self.header("host").unwrap_or("localhost");
        format!("{scheme}://{host}")
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// ARM's 400 for anything else.
    pub fn json(&self) -> Result<Value, Reply> {
        match serde_json::from_slice(&self.body) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(Reply::error(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'an object was expected'.",
                None,
            )),
            Err(e) => Err(Reply::error(
                400,
                "InvalidRequestContent",
                &format!("The request content was invalid and could not be deserialized: '{e}'."),
                None,
            )),
        }
    }
}

/// Undoes percent-encoding; `plus`: a plus is a space, as in forms and queries.
pub fn decoded(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let hex = bytes
            .get(i + 1..i + 3)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                i += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            _ => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes what does not belong into a query value.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte as char)
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What goes back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Beside those that every reply carries.
    pub headers: Vec<(String, String)>,
    /// `None` is an empty body.
    pub body: Option<Value>,
    /// So many bytes of the body are sent, and no more.
    pub cut: Option<usize>,
}

impl Reply {
    /// A reply with a body.
    #[must_use]
    pub const fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
            cut: None,
        }
    }

    /// A reply without one.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
            cut: None,
        }
    }

    /// `{"error":{"code","message","target"?}}`
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str, target: Option<&str>) -> Self {
        let mut error = json!({"code": code, "message": message});
        if let Some(target) = target {
            error["target"] = json!(target);
        }
        Self::json(status, json!({"error": error}))
    }

    /// An error that ARM itself gives rather than Compute: recorded with this header on 403 and 404.
    #[must_use]
    pub fn gateway(status: u16, code: &str, message: &str) -> Self {
        Self::error(status, code, message, None).with("x-ms-failure-cause", "gateway")
    }

    /// Something real Azure offers and this simulator does not.
    #[must_use]
    pub fn not_simulated(what: &str) -> Self {
        Self::error(
            501,
            "NotSimulated",
            &format!("The simulator does not know {what}."),
            None,
        )
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl From<Refusal> for Reply {
    fn from(r: Refusal) -> Self {
        let reply = Self::error(r.status, r.code, &r.message, r.target);
        if r.code == "ResourceNotFound" {
            reply.with("x-ms-failure-cause", "gateway")
        } else {
            reply
        }
    }
}
