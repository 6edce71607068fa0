//! A "no" from Azure as it came over the wire: status, code, message, and the headers that matter.
//!
//! In: status, headers and body of an answer that is not a success, or the `error` object of an operation. Out: an [`ArmError`].
//! It exists because the SDK's error keeps headers and details to itself (so `Retry-After` and the request id would be lost),
//! and because bodies come in several shapes: wrapped in `error`, bare (Compute's 429), HTML from a gateway, cut off, or empty.

use http::HeaderMap;
use serde_json::Value;
use spotpool_core::units::{Millis, Timestamp};
use std::fmt;

/// Longest message that is kept, in characters: it has to fit a condition.
const LONGEST: usize = 500;

/// The longest `Retry-After` that is believed. Azure documents at most 600 s; a nonsensical value must not silence a pool for days.
const LONGEST_WAIT: Millis = Millis::minutes(60);

/// An answer of Azure that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArmError {
    /// HTTP status; 0 for the error of an operation, which has none of its own.
    pub status: u16,
    /// Code and message; the code is empty when the body was not an error of Azure's (a gateway's page, nothing, half of something).
    pub main: Cause,
    /// The causes Azure lists below it.
    pub details: Vec<Cause>,
    /// How long to wait before asking again, if it said so.
    pub retry_after: Option<Millis>,
    /// `x-ms-request-id`, for Azure's support; may be empty.
    pub request_id: String,
}

/// One code with its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Such as `SkuNotAvailable`.
    pub code: String,
    /// One line, shortened.
    pub message: String,
    /// What it is about, such as `sku.name`; may be empty.
    pub target: String,
}

impl ArmError {
    /// Reads an answer. Never fails: what is not understood is quoted in the message.
    pub fn of_answer(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Self {
        let mut error = match error_object(body) {
            Some(object) => Self::of_object(&object),
            None => Self {
                main: Cause {
                    message: excerpt(headers, body),
                    ..Cause::default()
                },
                ..Self::default()
            },
        };
        error.status = status;
        error.retry_after = retry_after(headers, now);
        error.request_id = request_id(headers);
        error
    }

    /// Reads the `error` object of an operation.
    pub fn of_object(object: &Value) -> Self {
        let mut details = Vec::new();
        collect_details(object, &mut details, 0);
        Self {
            main: cause(object),
            details,
            ..Self::default()
        }
    }

    /// The causes, the outermost first.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        std::iter::once(&self.main).chain(&self.details)
    }

    /// Whether it is Azure that answered, and not something in between.
    pub fn is_azures(&self) -> bool {
        !self.main.code.is_empty()
    }
}

impl fmt::Display for ArmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status != 0 {
            write!(f, "{} ", self.status)?;
        }
        match (self.main.code.as_str(), self.main.message.as_str()) {
            ("", "") => f.write_str("without an explanation"),
            ("", message) => f.write_str(message),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

impl std::error::Error for ArmError {}

/// `Retry-After` in seconds or as a date, or Azure's own header in milliseconds.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Millis> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
            .map(str::trim)
    };
    let millis = text("x-ms-retry-after-ms")
        .or_else(|| text("retry-after-ms"))
        .and_then(|text| text.parse::<i64>().ok());
    let seconds = || {
        text("retry-after")
            .and_then(|text| text.parse::<i64>().ok())
            .map(|seconds| seconds.saturating_mul(1000))
    };
    let date = || {
        let date = azure_core_legacy::date::parse_rfc1123(text("retry-after")?).ok()?;
        Some(
            date.unix_timestamp()
                .saturating_mul(1000)
                .saturating_sub(now.0),
        )
    };
    millis
        .or_else(seconds)
        .or_else(date)
        .map(|millis| Millis(millis.clamp(0, LONGEST_WAIT.0)))
}

/// The id under which Azure's support finds the request.
pub fn request_id(headers: &HeaderMap) -> String {
    ["x-ms-request-id", "x-ms-correlation-request-id"]
        .iter()
        .find_map(|name| headers.get(*name).and_then(|value| value.to_str().ok()))
        .unwrap_or_default()
        .to_owned()
}

/// One line of at most `longest` characters.
pub fn one_line(text: &str, longest: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(longest) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// The error in a body: below `error` (ARM's contract), or the body itself (Compute's 429, [DOC troubleshooting-throttling-errors]).
fn error_object(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = serde_json::from_slice(body).ok()?;
    let inner = value
        .get("error")
        .or_else(|| value.get("Error"))
        .filter(|inner| inner.is_object());
    let object = inner.cloned().unwrap_or(value);
    let known = ["code", "Code", "message", "Message"]
        .iter()
        .any(|name| object.get(*name).is_some_and(Value::is_string));
    known.then_some(object)
}

fn cause(object: &Value) -> Cause {
    let text = |names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| object.get(*name).and_then(Value::as_str))
            .unwrap_or_default()
    };
    Cause {
        code: one_line(text(["code", "Code"]), 100),
        message: one_line(text(["message", "Message"]), LONGEST),
        target: one_line(text(["target", "Target"]), 100),
    }
}

fn collect_details(object: &Value, into: &mut Vec<Cause>, depth: usize) {
    // Azure nests two or three levels; a body that nests for ever is not worth following.
    if depth > 3 {
        return;
    }
    let list = object
        .get("details")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for one in list.chain(object.get("innererror")).take(20) {
        into.push(cause(one));
        collect_details(one, into, depth + 1);
    }
}

fn excerpt(headers: &HeaderMap, body: &[u8]) -> String {
    let kind = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("no content type");
    if body.is_empty() {
        return "with an empty body".to_owned();
    }
    format!(
        "with {} bytes of {kind} that are no error of Azure's: {}",
        body.len(),
        one_line(&String::from_utf8_lossy(&body[..body.len().min(400)]), 120)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn of(status: u16, body: &str) -> ArmError {
        ArmError::of_answer(
            status,
            &headers(&[("x-ms-request-id", "r1")]),
            body.as_bytes(),
            Timestamp(0),
        )
    }

    #[test]
    fn reads_an_error_that_is_wrapped_and_one_that_is_bare() {
        let wrapped = of(
            409,
            r#"{"error":{"code":"SkuNotAvailable","message":"no\n  more","target":"sku.name"}}"#,
        );
        assert_eq!(
            wrapped.main,
            Cause {
                code: "SkuNotAvailable".into(),
                message: "no more".into(),
                target: "sku.name".into()
            }
        );
        assert_eq!(wrapped.request_id, "r1");
        let bare = of(
            429,
            r#"{"code":"OperationNotAllowed","message":"slower","details":[{"code":"TooManyRequests","target":"HighCostGet","message":"{}"}]}"#,
        );
        assert_eq!(bare.main.code, "OperationNotAllowed");
        assert_eq!(bare.details[0].code, "TooManyRequests");
    }

    #[test]
    fn finds_causes_several_levels_down() {
        let error = of(
            409,
            r#"{"error":{"code":"A","message":"","details":[{"code":"B","details":[{"code":"C"}]}],"innererror":{"code":"D"}}}"#,
        );
        assert_eq!(
            error
                .causes()
                .map(|cause| cause.code.as_str())
                .collect::<Vec<_>>(),
            ["A", "B", "C", "D"]
        );
    }

    #[test]
    fn quotes_what_is_not_azures_without_believing_it() {
        for body in [
            "<html><body>Service Unavailable</body></html>",
            r#"{"error":{"code":"SkuNot"#,
            "",
            "[]",
            "null",
            r#"{"status":"fine"}"#,
            "\u{0}\u{1}",
        ] {
            let error = of(503, body);
            assert!(!error.is_azures(), "{body}");
            assert!(!error.main.message.is_empty(), "{body}");
        }
    }

    #[test]
    fn shortens_a_message_to_one_line_between_characters() {
        let error = of(
            400,
            &format!(
                r#"{{"error":{{"code":"X","message":"{}"}}}}"#,
                "ä\\n".repeat(2000)
            ),
        );
        assert!(error.main.message.chars().count() <= LONGEST + 1);
        assert!(!error.main.message.contains('\n'));
    }

    #[test]
    fn reads_retry_after_as_seconds_milliseconds_and_date_and_believes_no_nonsense() {
        let now = Timestamp(784_887_151_000); // Tue, 15 Nov 1994 08:12:31 GMT
        let table = [
            (vec![("retry-after", "17")], Some(17_000)),
            (vec![("retry-after", " 5 ")], Some(5_000)),
            (
                vec![("x-ms-retry-after-ms", "1500"), ("retry-after", "17")],
                Some(1_500),
            ),
            (
                vec![("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT")],
                Some(10_000),
            ),
            (
                vec![("retry-after", "Tue, 15 Nov 1994 08:12:01 GMT")],
                Some(0),
            ),
            (vec![("retry-after", "-4")], Some(0)),
            (vec![("retry-after", "99999999999999999")], Some(3_600_000)),
            (vec![("retry-after", "soon")], None),
            (vec![], None),
        ];
        for (pairs, expected) in table {
            assert_eq!(
                retry_after(&headers(&pairs), now),
                expected.map(Millis),
                "{pairs:?}"
            );
        }
    }
}
