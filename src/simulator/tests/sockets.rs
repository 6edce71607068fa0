//! Over real sockets: what only a connection can show.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

async fn ask(address: std::net::SocketAddr, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn get(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\nconnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn an_offline_azure_cuts_the_connection_and_the_control_api_stays() {
    let sim = simulator();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = {
        let sim = sim.clone();
        async move {
            sim.serve(listener, async {
                let _ = stopped.await;
            })
            .await
        }
    };
    let asked = async {
        let path = format!("{}?api-version=2024-07-01", set_path("render"));
        assert!(
            ask(address, &get(&path))
                .await
                .unwrap()
                .starts_with("HTTP/1.1 404")
        );
        sim.with(|state| state.offline = true);
        let cut = ask(address, &get(&path)).await;
        assert!(
            cut.as_ref().is_ok_and(String::is_empty) || cut.is_err(),
            "{cut:?}"
        );
        assert!(
            ask(address, &get("/control/state"))
                .await
                .unwrap()
                .starts_with("HTTP/1.1 200")
        );
        let page = ask(address, &get("/")).await.unwrap();
        assert!(page.contains("text/html") && page.contains("Azure, simulated"));
        sim.with(|state| state.offline = false);
        assert!(
            ask(address, &get(&path))
                .await
                .unwrap()
                .starts_with("HTTP/1.1 404")
        );
        stop.send(()).unwrap();
    };
    let (served, ()) = tokio::join!(served, asked);
    served.unwrap();
}
