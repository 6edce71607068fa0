//! TLS for the simulator: an authority that exists as long as the process, a certificate for loopback, and a listener.
//!
//! In: a directory. Out: `ca.pem` in it, for clients to trust, and connections that are encrypted. The authority's key never leaves the
//! process.

use super::connection::{Cuttable, Line, Scissors};
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Where clients find the authority.
const AUTHORITY: &str = "ca.pem";
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
    /// A new authority, written to `directory`, and a certificate of it for `127.0.0.1`, `::1` and `localhost`.
    ///
    /// # Errors
    /// The directory cannot be made or written to.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let (pem, config) = certified().map_err(io::Error::other)?;
        let file = directory.join(AUTHORITY);
        std::fs::create_dir_all(directory)
            .and_then(|()| std::fs::write(&file, pem))
            .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
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

fn certified() -> Result<(String, ServerConfig), Box<dyn Error + Send + Sync>> {
    let mut params = CertificateParams::default();
    let name = "spotpool simulator";
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(hosts)?.signed_by(&key, &authority)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der())?,
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((authority.pem(), config))
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
