//! TLS, where the URL asks for it.

use std::{path::Path, process::Command};

use devservices::Postgres;

use crate::support::{connect, refusal};

/// A server's key and its certificate, signed by itself, for 127.0.0.1.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .output()
        .expect("openssl comes with PostgreSQL");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // A key of root's may be read by the server's group.
    let owned = Command::new("chown").arg("postgres").arg(folder).arg(folder.join("key.pem")).status();
    let _ = owned.expect("chown is there");
}

#[tokio::test]
async fn an_encrypted_connection_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let server = Postgres::options()
        .fsync(false)
        .setting("ssl", "on")
        .setting("ssl_cert_file", &file("cert.pem"))
        .setting("ssl_key_file", &file("key.pem"))
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let url = server.database().unwrap();
    for mode in ["require", "verify-full"] {
        let text = refusal(&format!("{url}?sslmode={mode}")).await;
        assert!(text.contains("certificate") && text.contains("sslrootcert=FILE"), "{text}");
        let store = connect(&format!("{url}?sslmode={mode}&sslrootcert={}", file("cert.pem"))).await;
        let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE application_name = 'x402'";
        assert_eq!(server.sql(&url, encrypted).unwrap(), "t");
        drop(store);
    }
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let text = refusal(&format!("{elsewhere}?sslmode=verify-full&sslrootcert={}", file("cert.pem"))).await;
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn a_server_without_encryption_is_not_used_where_it_is_asked_for() {
    let url = crate::support::database();
    let text = refusal(&format!("{url}?sslmode=require")).await;
    assert!(text.contains("TLS") && text.contains("sslmode=disable"), "{text}");
}
