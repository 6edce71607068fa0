//! An application's own certificate as proof: a short token about itself, signed with the certificate's key.
//!
//! In: a PEM file's text with certificate and private key. Out: the signed token [learn.microsoft.com: *Microsoft identity platform
//! application authentication certificate credentials*]: PS256, the certificate named by its SHA-256.

use azure_core::base64::{encode, encode_url_safe};
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
        "x5t#S256": encode_url_safe(digest(&SHA256, own)),
    });
    if chain {
        // Plain base64 here, and only here [RFC 7515 §4.1.6].
        header["x5c"] = certificates.iter().map(encode).collect();
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
    let part = |value: serde_json::Value| encode_url_safe(value.to_string());
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
        encode_url_safe(signature)
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
    Ok(encode_url_safe(random?.expose()))
}
