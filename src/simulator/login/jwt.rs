//! JSON Web Tokens as text: taken apart without asking who signed them, and put together without a signature.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Header and claims of a token.
pub struct Jwt {
    header: Value,
    claims: Value,
}

impl Jwt {
    /// Takes a token apart; `None`: it is none.
    pub fn read(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return None;
        };
        let read = |part: &str| serde_json::from_slice(&decode(part)?).ok();
        let jwt = Self {
            header: read(header)?,
            claims: read(claims)?,
        };
        (!signature.is_empty()).then_some(jwt)
    }

    /// A claim that is text.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// Of the certificate that signed it, if one did.
    pub fn thumbprint(&self) -> Option<&str> {
        let named = |name| self.header.get(name).and_then(Value::as_str);
        named("x5t#S256").or_else(|| named("x5t"))
    }

    /// Whom it is for.
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is for somebody like this.
    pub fn is_for(&self, like: impl Fn(&str) -> bool) -> bool {
        self.audiences().into_iter().any(like)
    }

    /// Whether it is good at this Unix time; five minutes of difference between clocks are borne.
    pub fn holds_at(&self, unix: i64) -> bool {
        let time = |name| self.claims.get(name).and_then(Value::as_i64);
        time("exp").is_some_and(|end| unix < end + 300)
            && time("nbf").is_none_or(|start| start - 300 <= unix)
    }
}

/// A token that nobody signed, which nobody but the simulator itself takes.
pub fn unsigned(claims: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": "simulated"});
    let part = |value: &Value| encode(value.to_string().as_bytes());
    format!(
        "{}.{}.{}",
        part(&header),
        part(claims),
        encode(b"simulated")
    )
}

/// Unpadded, URL-safe base64 [RFC 7515 §2].
pub fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let jwt = Jwt::read(&unsigned(
            &json!({"sub": "me", "aud": ["a", "b"], "exp": 1000}),
        ))
        .unwrap();
        assert_eq!(
            (jwt.claim("sub"), jwt.audiences()),
            (Some("me"), vec!["a", "b"])
        );
        assert!(jwt.holds_at(1299) && !jwt.holds_at(1300));
        for text in ["", "a.b", "a.b.c", "e30.e30.", "e30.e30.x.y"] {
            assert!(Jwt::read(text).is_none(), "{text}");
        }
    }
}
