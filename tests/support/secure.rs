//! A REST vendor that speaks TLS, with a certificate of its own making.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What it answers.
pub type Answers = fn(&Request<Incoming>) -> Response<Full<Bytes>>;

/// The vendor. It takes 20 ms for an answer.
pub struct SecureVendor {
    pub address: SocketAddr,
    /// Its certificate, for those who are to trust it.
    pub pem: tempfile::NamedTempFile,
    connections: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl SecureVendor {
    /// Answers with the version of HTTP that it was asked in.
    pub async fn start(name: &str, protocols: &[&str]) -> Self {
        Self::start_for(name, protocols, None).await
    }

    /// As `start`; only clients with a certificate signed by this one are let in.
    pub async fn start_for(name: &str, protocols: &[&str], client: Option<CertificateDer<'static>>) -> Self {
        let version: Answers = |asked| Response::new(Full::new(Bytes::from(format!("{:?}", asked.version()))));
        Self::start_answering(&[name], protocols, client, version).await
    }

    /// Answers as it is told, under these names.
    pub async fn start_answering(
        names: &[&str],
        protocols: &[&str],
        client: Option<CertificateDer<'static>>,
        answers: Answers,
    ) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let pem = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(pem.path(), made.cert.pem()).expect("the file is ours");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let config = match client {
            None => config.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client).expect("a certificate");
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                config.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let mut config =
            config.with_single_cert(vec![made.cert.der().clone()], key).expect("a certificate with its key");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, requests) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), counts, answers));
        Self { address, pem, connections, requests }
    }

    /// Connections so far, those included on which nothing was asked.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    (connections, requests): (Arc<AtomicU64>, Arc<AtomicU64>),
    answers: Answers,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&requests), answers));
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, requests: Arc<AtomicU64>, answers: Answers) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let answer = service_fn(move |asked: Request<Incoming>| {
        requests.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, Infallible>(answers(&asked))
        }
    });
    if is_h2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
    } else {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    }
}
