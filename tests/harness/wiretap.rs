//! Listens on the way to a server: passes every byte on, and keeps what goes there.
//!
//! The simulator's log leaves out what may be secret, so only somebody on the way can tell what Azure was really told.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Result;

/// What each connection has sent so far.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// Ends with its handle, and all connections with it.
pub struct Wiretap {
    /// Where to connect instead, such as `http://127.0.0.1:4711`.
    pub url: String,
    heard: Heard,
    _listening: JoinSet<()>,
}

impl Wiretap {
    /// On the way to `server`, such as `http://127.0.0.1:4712`.
    ///
    /// # Errors
    /// If there is no port to listen on.
    pub async fn before(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let heard = Heard::default();
        let server = server.trim_start_matches("http://").to_owned();
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, server, Arc::clone(&heard)));
        Ok(Self {
            url,
            heard,
            _listening: listening,
        })
    }

    /// Whether this text has gone to the server.
    pub fn has_heard(&self, text: &str) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connections = heard.iter();
        connections.any(|sent| String::from_utf8_lossy(sent).contains(text))
    }
}

async fn listen(listener: TcpListener, server: String, heard: Heard) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(pass_on(client, server.clone(), Arc::clone(&heard)));
    }
}

async fn pass_on(client: TcpStream, server: String, heard: Heard) -> std::io::Result<()> {
    let (mut answers, mut questions) = TcpStream::connect(server).await?.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let number = {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(Vec::new());
        heard.len() - 1
    };
    let asking = async {
        let mut piece = vec![0; 64 << 10];
        loop {
            let length = from_client.read(&mut piece).await?;
            if length == 0 {
                return Ok(());
            }
            heard.lock().unwrap_or_else(PoisonError::into_inner)[number]
                .extend_from_slice(&piece[..length]);
            questions.write_all(&piece[..length]).await?;
        }
    };
    tokio::select! {
        asked = asking => asked,
        answered = tokio::io::copy(&mut answers, &mut to_client) => answered.map(|_| ()),
    }
}
