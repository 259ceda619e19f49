//! TLS: what is told of it when it works, and just as much when it does not.

use super::certificates::*;
use super::*;

const US: &[&str] = &["localhost", "127.0.0.1", "::1"];

fn trusting(file: &File, url: &str) -> Request {
    Request { tls: TlsOptions { roots: Some(file.0.clone()), ..TlsOptions::default() }, ..get(url) }
}

fn unverified(request: Request) -> Request {
    Request { tls: TlsOptions { verify: false, ..request.tls }, ..request }
}

/// Reason, message and what is known of a handshake that fails.
async fn refused(request: Request) -> (&'static str, String, Arc<TlsInfo>) {
    let exchanged = ask(request).await;
    let Err(NetError::Tls { reason, message, info, alert }) = exchanged.answer else { panic!("{:?}", exchanged.answer) };
    let exchange = &exchanged.exchanges[0];
    assert_eq!(exchange.tls, info, "the exchange tells the same");
    assert_eq!(phases(exchange), [Phase::Connect, Phase::Tls]);
    assert!(exchange.remote.is_some() && alert.is_some());
    let info = info.unwrap();
    assert!(!info.verified && !info.chain.is_empty());
    assert_eq!((info.version.as_deref(), info.cipher.as_deref()), (Some("1.3"), Some("TLS_AES_128_GCM_SHA256")));
    (reason, message, info)
}

#[tokio::test]
async fn a_good_certificate_is_told_with_its_whole_chain() {
    let authority = Authority::new("Lab CA");
    let shown = authority.sign(&params(US));
    let address = secure(config(shown, false, &[]), polite).await;
    for url in [format!("https://{address}/"), format!("https://localhost:{}/", address.port())] {
        let exchanged = ask(trusting(&authority.file, &url)).await;
        assert_eq!(exchanged.answer.unwrap().body, "all is well");
        let exchange = &exchanged.exchanges[0];
        assert_eq!(phases(exchange), [Phase::Connect, Phase::Tls, Phase::Send, Phase::Wait, Phase::Receive]);
        let info = exchange.tls.as_ref().unwrap();
        assert_eq!((info.version.as_deref(), info.cipher.as_deref()), (Some("1.3"), Some("TLS_AES_128_GCM_SHA256")));
        assert_eq!((info.alpn.as_deref(), info.verified, info.server_name.as_deref()), (None, true, Some(exchange.host.as_str())));
        let subjects: Vec<_> = info.chain.iter().map(|certificate| certificate.subject.as_str()).collect();
        assert_eq!((subjects.as_slice(), info.chain[0].alt_names.len()), (&["CN=leaf", "CN=Lab CA"][..], 3));
    }
}

#[tokio::test]
async fn no_handshake_is_shortened_by_an_earlier_one() {
    let authority = Authority::new("Lab CA");
    let address = secure(config(authority.sign(&params(US)), false, &[]), polite).await;
    let network = Network::new();
    for _ in 0..3 {
        let exchanged = asked(&network, trusting(&authority.file, &format!("https://{address}/"))).await;
        assert_eq!(exchanged.exchanges[0].tls.as_ref().unwrap().chain.len(), 2, "a resumed one shows no certificates");
    }
}

#[tokio::test]
async fn an_old_version_is_told_too() {
    let authority = Authority::new("Lab CA");
    let address = secure(config(authority.sign(&params(US)), true, &[]), polite).await;
    let exchanged = ask(trusting(&authority.file, &format!("https://{address}/"))).await;
    let info = exchanged.exchanges[0].tls.as_ref().unwrap();
    assert_eq!(info.version.as_deref(), Some("1.2"));
    assert!(info.cipher.as_ref().unwrap().starts_with("TLS_ECDHE_ECDSA_WITH_AES_128_GCM"), "{info:?}");

    let stranger = Authority::new("Somebody Else");
    let error = ask(trusting(&stranger.file, &format!("https://{address}/"))).await.answer.unwrap_err();
    let NetError::Tls { info: Some(info), .. } = error else { panic!("{error:?}") };
    assert_eq!(info.version.as_deref(), Some("1.2"));
}

#[tokio::test]
async fn each_bad_certificate_has_its_reason_and_says_what_is_wrong() {
    let (authority, stranger) = (Authority::new("Lab CA"), Authority::new("Somebody Else"));
    let (own, _file) = self_signed(&params(US));
    for (shown, reason, message) in [
        (authority.sign(&valid(params(US), -30, -3)), "expired", "certificate expired 3 days ago (20"),
        (authority.sign(&valid(params(US), 3, 30)), "not-yet-valid", "certificate is not valid for another"),
        (authority.sign(&params(&["a.example", "b.example"])), "name-mismatch", "certificate is for a.example, b.example, not 127.0.0.1"),
        (stranger.sign(&params(US)), "unknown-issuer", "certificate is issued by `CN=Somebody Else`, which is not trusted"),
        (own, "unknown-issuer", "certificate is self-signed and not trusted"),
    ] {
        let fingerprints = shown.chain.clone();
        let address = secure(config(shown, false, &[]), polite).await;
        let (told, text, info) = refused(trusting(&authority.file, &format!("https://{address}/"))).await;
        assert_eq!(told, reason, "{text}");
        assert!(text.starts_with(message), "{text}");
        assert_eq!(info.chain, certificate::read_chain(&fingerprints));
        let error = NetError::Tls { alert: None, reason: told, message: text, info: None };
        assert_eq!(error.error_type(), ErrorType::TlsCertificate);
    }
}

#[tokio::test]
async fn without_verification_the_exchange_goes_on_and_the_verdict_is_told() {
    let (authority, stranger) = (Authority::new("Lab CA"), Authority::new("Somebody Else"));
    for (shown, verified) in
        [(authority.sign(&valid(params(US), -30, -3)), false), (stranger.sign(&params(US)), false), (authority.sign(&params(US)), true)]
    {
        let address = secure(config(shown, false, &[]), polite).await;
        let exchanged = ask(unverified(trusting(&authority.file, &format!("https://{address}/")))).await;
        assert_eq!(exchanged.answer.unwrap().status, 200);
        assert_eq!(exchanged.exchanges[0].tls.as_ref().unwrap().verified, verified);
    }
}

#[tokio::test]
async fn going_on_without_verification_needs_a_grant() {
    let policy = Policy { reach: Reach::Operator, insecure_tls: false };
    let exchanged = Network::new().exchange(unverified(get("https://127.0.0.1:1/")), &policy).await;
    assert!(matches!(exchanged.answer, Err(NetError::Denied(_))) && exchanged.exchanges.is_empty());
}

#[tokio::test]
async fn an_authority_that_shows_its_own_certificate_is_trusted_where_that_is_what_the_file_says() {
    let mut own = params(US);
    own.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let (shown, file) = self_signed(&own);
    let address = secure(config(shown, false, &[]), polite).await;
    let url = format!("https://{address}/");
    assert_eq!(ask(trusting(&file, &url)).await.answer.unwrap().status, 200);
    assert_eq!(refused(trusting(&Authority::new("Lab CA").file, &url)).await.0, "unknown-issuer");

    // Nobody is trusted beyond his names and his time.
    let mut other = params(&["a.example"]);
    other.is_ca = own.is_ca;
    for (params, reason) in [(valid(own, -9, -1), "expired"), (other, "name-mismatch")] {
        let (shown, file) = self_signed(&params);
        let address = secure(config(shown, false, &[]), polite).await;
        assert_eq!(refused(trusting(&file, &format!("https://{address}/"))).await.0, reason);
    }
}

#[tokio::test]
async fn the_name_that_is_asked_for_can_be_another_than_that_of_the_url() {
    let authority = Authority::new("Lab CA");
    let address = secure(config(authority.sign(&params(&["shop.internal"])), false, &[]), polite).await;
    let mut request = trusting(&authority.file, &format!("https://{address}/"));
    request.tls.server_name = Some("shop.internal".to_owned());
    let exchanged = ask(request.clone()).await;
    assert_eq!(exchanged.answer.unwrap().status, 200);
    assert_eq!(exchanged.exchanges[0].tls.as_ref().unwrap().server_name.as_deref(), Some("shop.internal"));
    request.tls.server_name = Some("not a name".to_owned());
    assert!(matches!(ask(request).await.answer, Err(NetError::InvalidRequest(_))));
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_agreed_on() {
    let authority = Authority::new("Lab CA");
    let (ends, mut end) = tokio::sync::mpsc::channel(4);
    let serve = move |mut stream: tokio_rustls::server::TlsStream<TcpStream>| {
        let ends = ends.clone();
        async move {
            let answer = |request: http::Request<hyper::body::Incoming>| async move {
                let mut response = http::Response::new(http_body_util::Full::new(bytes::Bytes::from(vec![b'x'; 200_000])));
                response.headers_mut().insert("x-host", request.uri().authority().unwrap().as_str().parse().unwrap());
                Ok::<_, std::convert::Infallible>(response)
            };
            let io = hyper_util::rt::TokioIo::new(&mut stream);
            let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
            let _ = builder.serve_connection(io, hyper::service::service_fn(answer)).await;
            ends.send(stream.read(&mut [0; 16]).await.map_err(|error| error.kind())).await.unwrap();
        }
    };
    let address = secure(config(authority.sign(&params(US)), false, &["h2", "http/1.1"]), serve).await;
    let request = trusting(&authority.file, &format!("https://{address}/"));
    let exchanged = ask(request.clone()).await;
    let answer = exchanged.answer.unwrap();
    assert_eq!((answer.version, answer.body_size), (HttpVersion::Http2, 200_000));
    assert_eq!(value(&answer.fields, "x-host"), Some(address.to_string().as_str()));
    let exchange = &exchanged.exchanges[0];
    assert_eq!(exchange.tls.as_ref().unwrap().alpn.as_deref(), Some("h2"));
    assert_eq!(phases(exchange), [Phase::Connect, Phase::Tls, Phase::Send, Phase::Wait, Phase::Receive]);
    assert_eq!(end.recv().await, Some(Ok(0)), "the agent takes leave");
    let limited = ask(Request { max_body: 1000, ..request }).await;
    assert!(matches!(limited.answer, Err(NetError::BodyLimit(1000))), "{:?}", limited.answer);
}

#[tokio::test]
async fn a_version_that_is_not_agreed_on_is_protocol() {
    let authority = Authority::new("Lab CA");
    let address = secure(config(authority.sign(&params(US)), false, &[]), polite).await;
    let request = trusting(&authority.file, &format!("https://{address}/"));
    let http2 = Request { version: Some(HttpVersion::Http2), ..request.clone() };
    assert_eq!(ask(http2).await.answer.unwrap_err().error_type(), ErrorType::Protocol);
    assert_eq!(ask(Request { version: Some(HttpVersion::Http11), ..request }).await.answer.unwrap().status, 200);
}

#[tokio::test]
async fn protocols_are_offered_as_the_plugin_says() {
    let authority = Authority::new("Lab CA");
    let address = secure(config(authority.sign(&params(US)), false, &["http/1.1", "acme/2"]), polite).await;
    let mut request = trusting(&authority.file, &format!("https://{address}/"));
    request.tls.alpn = vec!["acme/2".to_owned()];
    let exchanged = ask(request.clone()).await;
    assert_eq!(exchanged.exchanges[0].tls.as_ref().unwrap().alpn.as_deref(), Some("acme/2"));
    request.tls.alpn = vec!["other/1".to_owned()];
    let error = ask(request).await.answer.unwrap_err();
    assert!(matches!(error, NetError::Tls { alert: Some(120), reason: "handshake", .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_tls_handshake() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], b"220 mail.example ESMTP\r\n"] {
        let address = raw(move |mut stream| async move {
            let _ = stream.read(&mut [0; 512]).await;
            let _ = stream.write_all(bytes).await;
        })
        .await;
        let exchanged = ask(unverified(get(&format!("https://{address}/")))).await;
        let error = exchanged.answer.unwrap_err();
        assert!(matches!(error, NetError::Tls { reason: "handshake", .. }), "{error:?}");
        assert_eq!((error.error_type(), error.to_string().as_str()), (ErrorType::TlsHandshake, "the server does not speak TLS"));
        assert!(exchanged.exchanges[0].tls.is_none());
    }
}

#[tokio::test]
async fn a_close_within_the_handshake_is_connection_closed() {
    let address = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 512]).await;
    })
    .await;
    let error = ask(unverified(get(&format!("https://{address}/")))).await.answer.unwrap_err();
    assert_eq!(error.error_type(), ErrorType::ConnectionClosed, "{error:?}");
}

#[tokio::test]
async fn a_body_that_ends_without_close_notify_is_connection_closed() {
    let authority = Authority::new("Lab CA");
    for (goodbye, good) in [(true, true), (false, false)] {
        let serve = move |mut stream: tokio_rustls::server::TlsStream<TcpStream>| async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nup to the end").await.unwrap();
            stream.flush().await.unwrap();
            if goodbye {
                stream.shutdown().await.unwrap();
            } else {
                stream.get_mut().0.shutdown().await.unwrap();
            }
        };
        let address = secure(config(authority.sign(&params(US)), false, &[]), serve).await;
        let answer = ask(trusting(&authority.file, &format!("https://{address}/"))).await.answer;
        assert_eq!(answer.is_ok(), good, "{answer:?}");
        assert!(good || matches!(answer, Err(NetError::ConnectionClosed("within the body"))), "{answer:?}");
    }
}

#[tokio::test]
async fn the_agent_takes_leave_as_it_expects_others_to() {
    let authority = Authority::new("Lab CA");
    let (ends, mut end) = tokio::sync::mpsc::channel(1);
    let serve = move |mut stream: tokio_rustls::server::TlsStream<TcpStream>| {
        let ends = ends.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(&ok("", "")).await.unwrap();
            ends.send(stream.read(&mut [0; 16]).await.map_err(|error| error.kind())).await.unwrap();
        }
    };
    let address = secure(config(authority.sign(&params(US)), false, &[]), serve).await;
    ask(trusting(&authority.file, &format!("https://{address}/"))).await.answer.unwrap();
    assert_eq!(end.recv().await, Some(Ok(0)), "a close_notify, not a broken connection");
}

#[tokio::test]
async fn late_handshake_messages_are_not_taken_for_the_answer() {
    let authority = Authority::new("Lab CA");
    let pause = Duration::from_millis(120);
    // A server of TLS 1.3 sends its tickets after the handshake, before it has read anything.
    let serve = move |mut stream: tokio_rustls::server::TlsStream<TcpStream>| async move {
        read_request(&mut stream).await;
        tokio::time::sleep(pause).await;
        polite_answer(&mut stream).await;
    };
    let address = secure(config(authority.sign(&params(US)), false, &[]), serve).await;
    let exchanged = ask(trusting(&authority.file, &format!("https://{address}/"))).await;
    assert!(length(&exchanged.exchanges[0], Phase::Wait) >= pause, "{:?}", exchanged.exchanges[0]);
}

async fn polite_answer(stream: &mut (impl AsyncWrite + Unpin)) {
    stream.write_all(&ok("", "")).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_slow_handshake_is_in_the_tls_phase() {
    let authority = Authority::new("Lab CA");
    let pause = Duration::from_millis(120);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config(authority.sign(&params(US)), false, &[])));
    let address = raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            tokio::time::sleep(pause).await;
            polite(acceptor.accept(stream).await.unwrap()).await;
        }
    })
    .await;
    let exchanged = ask(trusting(&authority.file, &format!("https://{address}/"))).await;
    assert!(length(&exchanged.exchanges[0], Phase::Tls) >= pause, "{:?}", exchanged.exchanges[0]);
}

#[tokio::test]
async fn a_file_of_roots_that_cannot_be_used_is_nobody_elses_fault() {
    let (empty, rubbish) = (File::new("no certificate"), File::new("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"));
    let missing = File(std::env::temp_dir().join("vedette-no-such-file.pem"));
    for file in [empty, rubbish, missing] {
        let exchanged = ask(trusting(&file, "https://127.0.0.1:1/")).await;
        assert!(matches!(exchanged.answer, Err(NetError::InvalidRequest(_))), "{:?}", exchanged.answer);
        assert!(exchanged.exchanges.is_empty());
    }
}

#[tokio::test]
async fn a_file_of_roots_is_read_again_when_it_changes() {
    let (authority, stranger) = (Authority::new("Lab CA"), Authority::new("Somebody Else"));
    let address = secure(config(authority.sign(&params(US)), false, &[]), polite).await;
    let (network, url) = (Network::new(), format!("https://{address}/"));
    let file = File::new(&std::fs::read_to_string(&stranger.file.0).unwrap());
    assert!(asked(&network, trusting(&file, &url)).await.answer.is_err());
    std::fs::copy(&authority.file.0, &file.0).unwrap();
    let later = std::fs::File::options().write(true).open(&file.0).unwrap();
    later.set_modified(std::fs::metadata(&file.0).unwrap().modified().unwrap() + Duration::from_secs(2)).unwrap();
    assert!(asked(&network, trusting(&file, &url)).await.answer.is_ok());
}
