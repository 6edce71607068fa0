//! An application's own certificate as proof: a short token about itself, signed with the certificate's key.
//!
//! In: a PEM file's text with certificate and private key. Out: the signed token [learn.microsoft.com: *Microsoft identity platform
//! application authentication certificate credentials*]: PS256, the certificate named by its SHA-256.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use spotpool_core::units::{Millis, Timestamp};

use crate::cloud::Secret;

/// For how long the token about ourselves is good. The login host gets it at once; the rest is for clocks that differ.
const LIFE: Millis = Millis::minutes(10);

/// What the token says.
pub(super) struct Claims<'a> {
    /// Whom it is for: the login host's own address.
    pub audience: &'a str,
    /// Who we are.
    pub client_id: &'a str,
    /// The present.
    pub now: Timestamp,
}

/// Signs. `chain`: show all certificates of the file in the header.
///
/// # Errors
/// What is wrong with the file, to be read after its name, without any of its content.
pub(super) fn assertion(pem: &[u8], chain: bool, claims: &Claims<'_>) -> Result<Secret, String> {
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| not_pem())?;
    let own = certificates.first().ok_or_else(not_pem)?;
    let key = key(pem)?;
    let mut header = json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, own)),
    });
    if chain {
        // Plain base64 here, and only here [RFC 7515 §4.1.6].
        header["x5c"] = certificates
            .iter()
            .map(|one| BASE64_STANDARD.encode(one))
            .collect();
    }
    let seconds = |time: Timestamp| time.0.div_euclid(1000);
    let body = json!({
        "aud": claims.audience,
        "iss": claims.client_id,
        "sub": claims.client_id,
        "jti": random_id()?,
        "iat": seconds(claims.now),
        "nbf": seconds(claims.now),
        "exp": seconds(claims.now + LIFE),
    });
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(body));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PSS_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "holds a private key that does not sign".to_owned())?;
    Ok(Secret::new(format!(
        "{signed}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature)
    )))
}

fn key(pem: &[u8]) -> Result<RsaKeyPair, String> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        "holds no private key, or an encrypted one: append the key without a password".to_owned()
    })?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(not_rsa("another kind")),
    };
    // ring's word for what it does not take, such as TooSmall or InvalidEncoding.
    pair.map_err(|rejected| not_rsa(&rejected.to_string()))
}

fn not_pem() -> String {
    "holds no certificate in PEM. Of a PKCS#12 file: openssl pkcs12 -in FILE.pfx -nodes -out FILE.pem".to_owned()
}

fn not_rsa(what: &str) -> String {
    format!(
        "needs a private RSA key of 2048 to 4096 bits, which is all that Entra ID takes ({what})"
    )
}

/// Never the same twice, as the login host wants it.
fn random_id() -> Result<String, String> {
    let random = ring::rand::generate::<[u8; 16]>(&SystemRandom::new());
    let random = random.map_err(|_| "cannot be used: the system has no random numbers".to_owned());
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random?.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents};
    use serde_json::Value;

    const PEM: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/credentials/application.pem"
    ));

    fn claims() -> Claims<'static> {
        Claims {
            audience: "https://login.example.com/t/oauth2/v2.0/token",
            client_id: "me",
            now: Timestamp(1_767_323_045_678),
        }
    }

    fn parts(token: &Secret) -> (Vec<Value>, String, Vec<u8>) {
        let (signed, signature) = token.reveal().rsplit_once('.').unwrap();
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let read = signed
            .split('.')
            .map(|part| serde_json::from_slice(&decode(part)).unwrap());
        (read.collect(), signed.to_owned(), decode(signature))
    }

    #[test]
    fn signs_with_the_files_key_and_names_its_certificate() {
        let (read, signed, signature) =
            parts(&assertion(PEM.as_bytes(), false, &claims()).unwrap());
        assert_eq!(
            read[0],
            // openssl x509 -outform DER | openssl dgst -sha256 -binary | base64
            json!({"alg": "PS256", "typ": "JWT", "x5t#S256": "DGqH3Qsx2afk9xHoh5Hkmk6bfofWM9AX0NygFjjYQeg"})
        );
        assert_eq!(
            (&read[1]["aud"], &read[1]["iss"], &read[1]["sub"]),
            (&json!(claims().audience), &json!("me"), &json!("me"))
        );
        assert_eq!(
            (&read[1]["nbf"], &read[1]["exp"]),
            (&json!(1_767_323_045), &json!(1_767_323_645))
        );
        let pair = key(PEM.as_bytes()).unwrap();
        let public: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
        public
            .verify(&RSA_PSS_2048_8192_SHA256, signed.as_bytes(), &signature)
            .unwrap();
        let (again, ..) = parts(&assertion(PEM.as_bytes(), false, &claims()).unwrap());
        assert_ne!(read[1]["jti"], again[1]["jti"]);
    }

    #[test]
    fn shows_its_chain_only_when_asked_to() {
        let (read, ..) = parts(&assertion(PEM.as_bytes(), true, &claims()).unwrap());
        let body: String = PEM
            .lines()
            .skip_while(|line| !line.contains("BEGIN CERTIFICATE"))
            .skip(1)
            .take_while(|line| !line.contains("END CERTIFICATE"))
            .collect();
        assert_eq!(read[0]["x5c"], json!([body]));
    }

    #[test]
    fn says_what_is_wrong_with_a_file_and_nothing_of_what_is_in_it() {
        let (before, _) = PEM.split_once("-----BEGIN PRIVATE").unwrap();
        let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for (pem, wanted) in [
            (String::new(), "holds no certificate in PEM"),
            ("hunter2".to_owned(), "holds no certificate in PEM"),
            (before.to_owned(), "holds no private key"),
            (format!("{before}{elliptic}"), "needs a private RSA key"),
            (
                format!(
                    "{before}-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED PRIVATE KEY-----\n"
                ),
                "holds no private key, or an encrypted one",
            ),
        ] {
            let error = assertion(pem.as_bytes(), false, &claims()).unwrap_err();
            assert!(error.contains(wanted), "{wanted}: {error}");
            assert!(
                !error.contains("hunter2") && !error.contains("aHVudGVyMg"),
                "{error}"
            );
        }
    }
}
