use super::*;

fn read(file: Option<&OtlpConfig>, env: &[(&str, &str)]) -> Result<Settings, TelemetryError> {
    let secrets = BTreeMap::from([("token".to_owned(), "s3cret".to_owned())]);
    Settings::read(file, &secrets, &env.iter().copied().collect())
}

fn urls(file: Option<&OtlpConfig>, env: &[(&str, &str)]) -> Vec<String> {
    read(file, env).unwrap().routes.unwrap().iter().map(|route| route.url.to_string()).collect()
}

fn file() -> OtlpConfig {
    OtlpConfig { endpoint: Some("http://file:1".to_owned()), successes: 1.0, ..OtlpConfig::default() }
}

#[test]
fn nothing_said_anywhere_means_nothing_leaves() {
    let settings = read(None, &[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap();
    assert!(settings.routes.is_none());
    assert_eq!(settings.interval, Duration::from_secs(15));
}

#[test]
fn disabling_the_sdk_disables_export_whatever_the_file_says() {
    assert!(read(Some(&file()), &[("OTEL_SDK_DISABLED", "TRUE")]).unwrap().routes.is_none());
    assert!(read(Some(&file()), &[("OTEL_SDK_DISABLED", "no")]).unwrap().routes.is_some());
}

#[test]
fn a_base_gets_the_path_of_the_signal_and_an_endpoint_of_one_signal_is_taken_as_it_is() {
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://base:1/otlp/"), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m:2/own")];
    assert_eq!(urls(None, &env), ["http://base:1/otlp/v1/traces", "https://m:2/own", "http://base:1/otlp/v1/logs"]);
}

#[test]
fn the_file_wins_over_the_environment() {
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:1"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://env:2/t"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b,Authorization=env,broken"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
    ];
    let mut file = file();
    file.headers.insert("authorization".to_owned(), Text::Secret("token".to_owned()));
    file.interval = Some(Duration::from_secs(7));
    file.compression = Some(Compression::Zstd);
    assert_eq!(urls(Some(&file), &env), ["http://file:1/v1/traces", "http://file:1/v1/metrics", "http://file:1/v1/logs"]);
    let settings = read(Some(&file), &env).unwrap();
    let route = &settings.routes.unwrap()[0];
    assert_eq!(settings.interval, Duration::from_secs(7));
    assert_eq!(route.compression, Compression::Zstd);
    assert_eq!(route.timeout, Duration::from_millis(500), "what the file does not say the environment may");
    let headers: Vec<_> = route.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(headers, ["authorization: s3cret", "x-team: a b"]);
}

#[test]
fn one_signal_may_have_its_own_protocol_headers_timeout_compression_and_certificates() {
    let env = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "b=2"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "3000"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/key.pem"),
    ];
    let [traces, _, logs] = read(None, &env).unwrap().routes.unwrap();
    assert_eq!((traces.protocol, traces.url.as_str()), (OtlpProtocol::Grpc, "http://localhost:4317/"));
    assert_eq!((logs.protocol, logs.url.as_str()), (OtlpProtocol::Http, "http://localhost:4318/v1/logs"));
    assert!(traces.headers.contains_key("a") && !logs.headers.contains_key("a") && logs.headers.contains_key("b"));
    assert_eq!((traces.timeout, logs.timeout), (Duration::from_secs(10), Duration::from_secs(3)));
    assert_eq!((traces.compression, logs.compression), (Compression::Gzip, Compression::None));
    assert_eq!(logs.tls_ca.unwrap().to_str(), Some("/ca.pem"));
    assert_eq!((traces.tls_key, logs.tls_key.unwrap().to_str()), (None, Some("/key.pem")));
}

#[test]
fn a_bare_grpc_address_is_tls_unless_it_is_said_to_be_insecure() {
    let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")];
    assert_eq!(urls(None, &grpc)[0], "https://collector:4317/");
    assert_eq!(urls(None, &[&grpc[..], &[("OTEL_EXPORTER_OTLP_INSECURE", "true")]].concat())[0], "http://collector:4317/");
}

#[test]
fn delays_and_interval_come_from_the_environment_in_milliseconds() {
    let env = [("OTEL_METRIC_EXPORT_INTERVAL", "1000"), ("OTEL_BSP_SCHEDULE_DELAY", "500"), ("OTEL_BLRP_SCHEDULE_DELAY", "250")];
    let settings = read(None, &env).unwrap();
    let lengths = [settings.interval, settings.span_delay, settings.event_delay].map(|length| length.as_millis());
    assert_eq!(lengths, [1000, 500, 250]);
}

#[test]
fn what_is_wrong_is_named_with_what_it_has_to_be() {
    for (name, value, wanted) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/protobuf or grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "lz4", "none, gzip or zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "at least 1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x", "http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http://localhost:4318"),
    ] {
        let error = read(None, &[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(wanted), "{error}");
    }
    let mut file = file();
    file.headers.insert("authorization".to_owned(), Text::Secret("nobody".to_owned()));
    assert!(read(Some(&file), &[]).unwrap_err().to_string().contains("\"nobody\""));
}
