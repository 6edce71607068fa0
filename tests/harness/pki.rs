//! The certificates and keys of one control plane: an authority that exists for minutes, what it has signed, and the
//! key that signs service account tokens. Everything is a file, because the programs want files.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::Result;

/// A certificate authority and the directory that its certificates are written to.
pub struct Pki {
    directory: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Pki {
    /// A new authority, with the service account key beside it.
    ///
    /// # Errors
    /// If `directory` cannot be written to.
    pub fn new(directory: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "spotpool test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pki = Self {
            directory: directory.to_owned(),
            authority: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
        };
        std::fs::write(pki.authority_file(), pki.authority.pem())?;
        let tokens = KeyPair::generate()?;
        std::fs::write(pki.token_signing_key_file(), tokens.serialize_pem())?;
        std::fs::write(pki.token_checking_key_file(), tokens.public_key_pem())?;
        Ok(pki)
    }

    /// The authority's own certificate: what clients trust, and what signed the clients.
    pub fn authority_file(&self) -> PathBuf {
        self.directory.join("authority.crt")
    }

    /// The private key that signs service account tokens.
    pub fn token_signing_key_file(&self) -> PathBuf {
        self.directory.join("service-account.key")
    }

    /// Its public half, which checks them.
    pub fn token_checking_key_file(&self) -> PathBuf {
        self.directory.join("service-account.pub")
    }

    /// A certificate for a server on loopback.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn server(&self, name: &str) -> Result<Certificate> {
        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(name, params)
    }

    /// A certificate that Kubernetes reads as the user `user`, in `group` if there is one. rcgen writes one
    /// organisation into a subject at most, so there can be no second group.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn client(&self, file: &str, user: &str, group: Option<&str>) -> Result<Certificate> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(file, params)
    }

    fn sign(&self, file: &str, params: CertificateParams) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let signed = params.signed_by(&key, &self.authority)?;
        let files = Certificate {
            certificate: self.directory.join(format!("{file}.crt")),
            key: self.directory.join(format!("{file}.key")),
        };
        std::fs::write(&files.certificate, signed.pem())?;
        std::fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}
