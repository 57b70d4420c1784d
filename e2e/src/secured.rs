//! Certificates, users and rights for an Apache Kafka that lets nobody in without them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

/// The user of a mesh in every mechanism.
pub const USER: &str = "weft";
/// Its password.
pub const PASSWORD: &str = "weft-secret";

/// What a broker is secured with. Files are gone with the value.
#[derive(Debug)]
pub struct Secured {
    folder: TempDir,
    mutual: bool,
    trusted: bool,
}

impl Secured {
    /// TLS, and SASL with PLAIN, SCRAM-SHA-512 and OAUTHBEARER (unsecured tokens); the user may do everything.
    pub fn sasl() -> Result<Self> {
        Self::new(false, true, 1)
    }

    /// The same; the user may do nothing yet.
    pub fn sasl_with_acls() -> Result<Self> {
        Self::new(false, false, 1)
    }

    /// The same with a certificate that has expired.
    pub fn expired() -> Result<Self> {
        Self::new(false, true, -1)
    }

    /// TLS in which clients show a certificate too, and no SASL.
    pub fn mutual() -> Result<Self> {
        Self::new(true, true, 1)
    }

    fn new(mutual: bool, trusted: bool, days: i32) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("weft-e2e-tls-").tempdir()?;
        let secured = Self { folder, mutual, trusted };
        secured.authority("ca")?;
        secured.authority("other-ca")?;
        secured.certificate("broker", days)?;
        secured.certificate("client", 1)?;
        Ok(secured)
    }

    /// A file among the certificates: `ca.pem`, `other-ca.pem`, `client.pem`, `client.key`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output()?;
        ensure!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn authority(&self, name: &str) -> Result<()> {
        let (key, pem, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        self.openssl(&[&["req", "-x509"], &curve[..], &["-keyout", &key, "-out", &pem, "-subj", &subject]].concat())
    }

    /// `<name>.pem`, signed by the CA, `<name>.key`, and both in `<name>-both.pem`, as Kafka reads them.
    fn certificate(&self, name: &str, days: i32) -> Result<()> {
        let (key, pem, request) = (format!("{name}.key"), format!("{name}.pem"), format!("{name}.csr"));
        let (subject, days) = (format!("/CN={name}"), days.to_string());
        std::fs::write(self.path("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n")?;
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        self.openssl(&[&["req"], &curve[..], &["-keyout", &key, "-out", &request, "-subj", &subject]].concat())?;
        let sign = ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        self.openssl(&[&sign[..], &["-out", &pem, "-days", &days, "-extfile", "names"]].concat())?;
        let both = std::fs::read_to_string(self.path(&key))? + &std::fs::read_to_string(self.path(&pem))?;
        std::fs::write(self.path(&format!("{name}-both.pem")), both)?;
        Ok(())
    }

    /// Lines of `server.properties`.
    pub(crate) fn broker_settings(&self) -> Vec<String> {
        let protocol = if self.mutual { "SSL" } else { "SASL_SSL" };
        let trusted = if self.trusted { format!(";User:{USER};User:CN=client") } else { String::new() };
        let mut lines = vec![
            format!("listeners={protocol}://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}}"),
            format!("advertised.listeners={protocol}://127.0.0.1:{{port}}"),
            format!("listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocol}:{protocol}"),
            format!("inter.broker.listener.name={protocol}"),
            "ssl.keystore.type=PEM".to_owned(),
            format!("ssl.keystore.location={}", self.path("broker-both.pem").display()),
            "ssl.truststore.type=PEM".to_owned(),
            format!("ssl.truststore.location={}", self.path("ca.pem").display()),
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
            format!("super.users=User:admin;User:ANONYMOUS;User:CN=broker{trusted}"),
        ];
        if self.mutual {
            lines.push("ssl.client.auth=required".to_owned());
            return lines;
        }
        let module = |name: &str, rest: &str| format!("org.apache.kafka.common.security.{name} required {rest};");
        let plain = format!(
            "username=\"admin\" password=\"admin-secret\" user_admin=\"admin-secret\" user_{USER}=\"{PASSWORD}\""
        );
        lines.extend([
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER".to_owned(),
            "sasl.mechanism.inter.broker.protocol=PLAIN".to_owned(),
            format!("listener.name.sasl_ssl.plain.sasl.jaas.config={}", module("plain.PlainLoginModule", &plain)),
            format!("listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={}", module("scram.ScramLoginModule", "")),
            format!(
                "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config={}",
                module("oauthbearer.OAuthBearerLoginModule", "unsecuredLoginStringClaim_sub=\"admin\"")
            ),
        ]);
        lines
    }

    /// Users that the data directory is formatted with.
    pub(crate) fn format_arguments(&self) -> Vec<String> {
        if self.mutual {
            return Vec::new();
        }
        vec!["--add-scram".to_owned(), format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")]
    }

    /// `client.properties` of the administrator, for Kafka's own tools.
    pub fn admin_config(&self) -> Result<PathBuf> {
        let path = self.path("admin.properties");
        let login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" password=\"admin-secret\";";
        let text = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config={login}\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
            self.path("ca.pem").display()
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }
}
