//! TLS for the simulator: an authority that has certified one key and no other, for loopback, and a listener.
//!
//! In: a directory. Out: `ca.pem` in it, for clients to trust, and connections that are encrypted. The authority's key is never kept; the
//! certified one is where a simulator is to go on after a restart, readable by its owner only.

use super::connection::{Cuttable, Line, Scissors};
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Where clients find the authority.
const AUTHORITY: &str = "ca.pem";
/// The certificate and its key, where they are kept.
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";
/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What connections are encrypted with.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(***)")
    }
}

impl Tls {
    /// A new authority, written to `directory`, and a certificate of it for `127.0.0.1`, `::1` and `localhost`. `keep`: those that an
    /// earlier simulator has left there, if it has.
    ///
    /// # Errors
    /// The directory cannot be made, written to or, with `keep`, read.
    pub fn new(directory: &Path, keep: bool) -> io::Result<Self> {
        let told = |error: Box<dyn Error + Send + Sync>| {
            io::Error::other(format!("{}: {error}", directory.display()))
        };
        let config = match keep && directory.join(KEY).exists() {
            true => kept(directory),
            false => certified(directory, keep),
        };
        Ok(Self(TlsAcceptor::from(Arc::new(config.map_err(told)?))))
    }

    /// A listener of encrypted connections.
    #[must_use]
    pub fn over(&self, plain: Cuttable) -> Encrypted {
        Encrypted {
            plain,
            tls: self.clone(),
            handshakes: JoinSet::new(),
        }
    }
}

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn certified(directory: &Path, keep: bool) -> Fallible<ServerConfig> {
    let mut params = CertificateParams::default();
    let name = "spotpool simulator";
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(hosts)?.signed_by(&key, &authority)?;
    std::fs::create_dir_all(directory)?;
    if keep {
        std::fs::write(directory.join(CERTIFICATE), certificate.pem())?;
        let mut file = OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        let mut file = file.open(directory.join(KEY))?;
        file.write_all(key.serialize_pem().as_bytes())?;
    }
    // Clients wait for it: it comes last.
    std::fs::write(directory.join(AUTHORITY), authority.pem())?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    serving(certificate.der().clone(), key)
}

fn kept(directory: &Path) -> Fallible<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(directory.join(CERTIFICATE))?;
    let key = PrivateKeyDer::from_pem_file(directory.join(KEY))?;
    serving(certificate, key)
}

fn serving(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Fallible<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A listener that hands out connections once they are encrypted; one that never gets so far holds up no other.
#[derive(Debug)]
pub struct Encrypted {
    plain: Cuttable,
    tls: Tls,
    handshakes: JoinSet<Option<(TlsStream<Line>, SocketAddr)>>,
}

impl Listener for Encrypted {
    type Io = TlsStream<Line>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TlsStream<Line>, SocketAddr) {
        loop {
            tokio::select! {
                biased;
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
                (line, address) = self.plain.accept() => {
                    let accepted = self.tls.0.accept(line);
                    self.handshakes.spawn(async move {
                        let stream = tokio::time::timeout(HANDSHAKE, accepted).await;
                        Some((stream.ok()?.ok()?, address))
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.plain.local_addr()
    }
}

impl Connected<IncomingStream<'_, Encrypted>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Encrypted>) -> Self {
        stream.io().get_ref().0.scissors()
    }
}
