//! Names: lookups, their failures, and what they may lead to.

use tokio::net::UdpSocket;

use super::*;

fn network(hosts: &str, server: Option<SocketAddr>) -> Network {
    Network { shared: Arc::new(Shared { names: resolve::Names::pinned(hosts, server), trust: tls::Trust::default() }) }
}

/// A name server that answers everything with this code and no records, or not at all.
async fn name_server(rcode: Option<u8>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Some(rcode) = rcode else { continue };
            // The header and the question come back; what stood behind them (EDNS) does not.
            let name = buffer[12..length].iter().position(|byte| *byte == 0).unwrap_or(0);
            let answer = &mut buffer[..12 + name + 5];
            answer[2] |= 0x80;
            answer[3] = 0x80 | rcode;
            answer[6..12].fill(0);
            let _ = socket.send_to(answer, from).await;
        }
    });
    address
}

#[tokio::test]
async fn a_name_has_a_dns_phase() {
    let server = saying(ok("", "")).await;
    let network = network("127.0.0.1 web.example", None);
    let exchanged = asked(&network, get(&format!("http://web.example:{}/", server.address.port()))).await;
    let exchange = &exchanged.exchanges[0];
    assert_eq!(phases(exchange), [Phase::Dns, Phase::Connect, Phase::Send, Phase::Wait, Phase::Receive]);
    assert_eq!((exchange.host.as_str(), exchange.remote), ("web.example", Some(server.address)));
    assert!(server.only().contains(&format!("host: web.example:{}\r\n", server.address.port())));
}

#[tokio::test]
async fn an_address_that_does_not_answer_gives_way_to_one_that_does() {
    let server = saying(ok("", "")).await;
    let network = network("::1 web.example\n127.0.0.1 web.example", None);
    let exchanged = asked(&network, get(&format!("http://web.example:{}/", server.address.port()))).await;
    assert_eq!((exchanged.answer.unwrap().status, exchanged.exchanges[0].remote), (200, Some(server.address)));
}

#[tokio::test]
async fn codes_of_name_servers_are_told_apart() {
    for (code, expected) in [(3, 3), (2, 2), (0, 0)] {
        let network = network("", Some(name_server(Some(code)).await));
        let exchanged = asked(&network, get("http://nobody.example/")).await;
        let Err(NetError::Dns { name, rcode, .. }) = &exchanged.answer else { panic!("{:?}", exchanged.answer) };
        assert_eq!((name.as_str(), *rcode), ("nobody.example", Some(expected)));
        assert_eq!(phases(&exchanged.exchanges[0]), [Phase::Dns]);
    }
}

#[tokio::test]
async fn a_name_server_that_does_not_answer_is_waited_for_until_the_deadline() {
    let network = network("", Some(name_server(None).await));
    let exchanged = asked(&network, within(150, get("http://nobody.example/"))).await;
    assert!(matches!(exchanged.answer, Err(NetError::TimedOut(Waiting::Resolve))), "{:?}", exchanged.answer);
    assert_eq!(phases(&exchanged.exchanges[0]), [Phase::Dns]);
}

#[tokio::test]
async fn no_name_server_at_all_is_dns_without_a_code() {
    let exchanged = asked(&network("", None), get("http://nobody.example/")).await;
    assert!(matches!(exchanged.answer, Err(NetError::Dns { rcode: None, .. })), "{:?}", exchanged.answer);
}

#[tokio::test]
async fn a_name_that_leads_to_metadata_is_denied_even_beside_a_good_address() {
    let server = saying(ok("", "")).await;
    let network = network("127.0.0.1 evil.example\n169.254.169.254 evil.example", None);
    let exchanged = asked(&network, get(&format!("http://evil.example:{}/", server.address.port()))).await;
    assert!(matches!(exchanged.answer, Err(NetError::Denied(_))), "{:?}", exchanged.answer);
    assert!(server.requests().is_empty() && exchanged.exchanges[0].remote.is_none());
}

#[tokio::test]
async fn a_plugin_that_is_granted_a_name_gets_no_further_by_redirect() {
    let secret = saying(ok("", "internal")).await;
    let location = secret.url("/");
    let server = server(move |_| found(302, &location)).await;
    let network = network("127.0.0.1 web.example", None);
    let allowed = AllowedHost { host: "Web.Example".to_owned(), port: Some(server.address.port()) };
    let policy = Policy { reach: Reach::Hosts(vec![allowed]), insecure_tls: false };
    let request = get(&format!("http://web.example:{}/", server.address.port()));
    let exchanged = network.exchange(request, &policy).await;
    assert!(matches!(exchanged.answer, Err(NetError::Denied(_))), "{:?}", exchanged.answer);
    assert_eq!((server.requests().len(), secret.requests().len()), (1, 0));
    assert_eq!(exchanged.exchanges[0].error.as_ref().map(|(error, _)| *error), Some(ErrorType::Denied));

    let direct = network.exchange(get(&secret.url("/")), &policy).await;
    assert!(matches!(direct.answer, Err(NetError::Denied(_))) && direct.exchanges.is_empty());
}
