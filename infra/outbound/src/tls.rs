//! One TLS set-up for every HTTP client of the process. The machine's root certificates are read once, for the first
//! connection that needs them: there are hundreds, and most processes start without calling anybody by https.

use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Begins an HTTP client. Sessions are resumed across all of them.
pub fn client_builder() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder();
    match &*CONFIGURATION {
        Ok(shared) => builder.tls_backend_preconfigured(shared.clone()),
        // Building the client says what is wrong.
        Err(_) => builder,
    }
}

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

static CONFIGURATION: LazyLock<Result<ClientConfig, Error>> = LazyLock::new(|| configuration(Arc::default()));

fn configuration(roots: Arc<MachineRoots>) -> Result<ClientConfig, Error> {
    let builder =
        ClientConfig::builder_with_provider(PROVIDER.clone()).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(roots);
    let mut shared = builder.with_no_client_auth();
    shared.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(shared)
}

/// Checks certificates as [`Verifier`] does, which reads the machine's when it is made. A machine without certificates
/// is asked once, too.
#[derive(Debug, Default)]
struct MachineRoots(OnceLock<Result<Verifier, Error>>);

impl ServerCertVerifier for MachineRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.0.get_or_init(|| Verifier::new(PROVIDER.clone())).as_ref().map_err(Clone::clone)?;
        roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_are_read_for_the_first_certificate_and_not_for_a_client() {
        let roots = Arc::<MachineRoots>::default();
        let shared = configuration(roots.clone()).unwrap();
        reqwest::Client::builder().tls_backend_preconfigured(shared).build().unwrap();
        assert!(roots.0.get().is_none(), "read before anybody was called");

        let name = ServerName::try_from("example.com").unwrap();
        let forged = CertificateDer::from(vec![0x30, 0]);
        let verified = roots.verify_server_cert(&forged, &[], &name, &[], UnixTime::now());
        verified.unwrap_err();
        assert!(roots.0.get().is_some());
    }
}
