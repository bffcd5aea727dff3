//! Certificates and keys in files that their issuer replaces from time to time: read again when they change, without a restart.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sm3::{Digest as _, Sm3};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};

use crate::settings::Tls;

/// Files with certificates or keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file can't be read.
    #[error("TLS file {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A file holds no such thing as PEM.
    #[error("TLS file {0} holds no {1} as PEM")]
    Pem(PathBuf, &'static str),
    /// Certificate and key don't fit together, or are of a kind that is not supported.
    #[error("certificate and key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The authority of client certificates can't be used.
    #[error("grpc.tls.client_ca can't be used: {0}")]
    Authority(#[from] VerifierBuilderError),
    /// A set of public keys can't be used.
    #[error(transparent)]
    Keys(#[from] crate::auth::KeyError),
    /// The transport does not take them.
    #[error("certificate and key can't be used: {0}")]
    Transport(#[from] tonic::transport::Error),
}

type Make<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, CertificateError> + Send + Sync>;

/// What is made of files, and made anew once their contents have changed. What can't be used (half of the files may be
/// replaced already) changes nothing, and is tried again.
pub(crate) struct FromFiles<T> {
    paths: Vec<PathBuf>,
    every: Duration,
    make: Make<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    looked: Instant,
    digest: [u8; 32],
    generation: u64,
    made: T,
}

impl<T: Clone> FromFiles<T> {
    /// Reads the files; they are looked at again with [`FromFiles::current`], though not more often than `every`.
    pub(crate) fn read(
        paths: Vec<PathBuf>,
        every: Duration,
        make: impl Fn(&[Vec<u8>]) -> Result<T, CertificateError> + Send + Sync + 'static,
    ) -> Result<Self, CertificateError> {
        let contents = contents(&paths)?;
        let state = State {
            looked: Instant::now(),
            digest: digest(&contents),
            generation: 0,
            made: make(&contents)?,
        };
        Ok(Self {
            paths,
            every,
            make: Box::new(make),
            state: Mutex::new(state),
        })
    }

    /// What the files give now.
    pub(crate) fn current(&self) -> T {
        self.looked_at().made.clone()
    }

    /// The same with its generation, which changes whenever the files do.
    pub(crate) fn generation(&self) -> (u64, T) {
        let state = self.looked_at();
        (state.generation, state.made.clone())
    }

    /// What the files give now if it is not of this generation any more, with its own.
    pub(crate) fn since(&self, generation: u64) -> Option<(u64, T)> {
        let state = self.looked_at();
        (state.generation != generation).then(|| (state.generation, state.made.clone()))
    }

    fn looked_at(&self) -> MutexGuard<'_, State<T>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= self.every {
            state.looked = Instant::now();
            if let Err(error) = self.refresh(&mut state) {
                tracing::error!(%error, "changed certificates or keys can't be used: what was read before stays in use");
            }
        }
        state
    }

    fn refresh(&self, state: &mut State<T>) -> Result<(), CertificateError> {
        let contents = contents(&self.paths)?;
        let digest = digest(&contents);
        if digest != state.digest {
            state.made = (self.make)(&contents)?;
            state.digest = digest;
            state.generation += 1;
            tracing::info!("certificates or keys have changed and are in use");
        }
        Ok(())
    }
}

impl<T> fmt::Debug for FromFiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFiles")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// The server's certificate, and whose client certificates it accepts.
pub(crate) fn of_server(settings: &Tls) -> Result<FromFiles<Arc<ServerConfig>>, CertificateError> {
    let mut paths = vec![settings.certificate.clone(), settings.key.clone()];
    paths.extend(settings.client_ca.clone());
    let names = paths.clone();
    let optional = settings.client_certificate_optional;
    FromFiles::read(paths, settings.reread, move |contents| {
        server_config(&names, contents, optional).map(Arc::new)
    })
}

fn server_config(
    names: &[PathBuf],
    contents: &[Vec<u8>],
    optional: bool,
) -> Result<ServerConfig, CertificateError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match (names.get(2), contents.get(2)) {
        (Some(name), Some(authority)) => {
            let mut roots = RootCertStore::empty();
            for certificate in chain(name, authority)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if optional {
                verifier.allow_unauthenticated()
            } else {
                verifier
            };
            builder.with_client_cert_verifier(verifier.build()?)
        }
        _ => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(&contents[1])
        .map_err(|_| CertificateError::Pem(names[1].clone(), "private key"))?;
    let mut config = builder.with_single_cert(chain(&names[0], &contents[0])?, key)?;
    config.alpn_protocols.push(b"h2".to_vec());
    Ok(config)
}

fn chain(name: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let none = || CertificateError::Pem(name.to_owned(), "certificate");
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| none())?;
    if chain.is_empty() {
        return Err(none());
    }
    Ok(chain)
}

fn contents(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, CertificateError> {
    paths
        .iter()
        .map(|path| std::fs::read(path).map_err(|e| CertificateError::File(path.clone(), e)))
        .collect()
}

fn digest(contents: &[Vec<u8>]) -> [u8; 32] {
    let mut digest = Sm3::new();
    for content in contents {
        digest.update(
            u64::try_from(content.len())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
        digest.update(content);
    }
    digest.finalize().into()
}
