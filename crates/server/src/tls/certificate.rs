//! The certificate in use. It is replaced when its files change.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use bellwether_protocol::TlsStatus;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::files::Contents;
use super::pair::{Pair, Validity};
use super::{TlsError, TlsFiles};
use crate::server_state::unix_ms;

/// Interval between two checks of the files.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Time between two warnings about the end of the same certificate.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificate that new connections receive. An open connection keeps its certificate.
pub(crate) struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<Pair>>,
    /// The host of the client URL, with which clients check the certificate.
    host: OnceLock<ServerName<'static>>,
    problem: Mutex<Option<Problem>>,
    warned: Mutex<Option<Warned>>,
    check_now: Notify,
}

/// The reason why the server does not use the files as they are now.
#[derive(Debug)]
struct Problem {
    text: String,
    /// Set when the log has it.
    is_reported: bool,
}

/// The last warning about the certificate in use.
#[derive(Debug)]
struct Warned {
    digest: [u8; 32],
    at: Instant,
}

/// The result of a check of the files.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// The files contain the certificate in use.
    Unchanged,
    /// New connections receive the new certificate.
    Replaced,
    /// The files cannot be used, and the certificate in use stays. `is_new` is set if the log
    /// has a new line about it.
    Kept { is_new: bool },
}

impl Certificate {
    /// Reads the files. The call blocks.
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = files.read()?;
        let pair = Pair::new(&files, &contents)?;
        warn_of_public_key(&files, &contents);
        info!(
            certificate = %files.certificate.display(),
            not_after = pair.end(),
            "clients connect with TLS"
        );
        let certificate = Self {
            files,
            current: RwLock::new(Arc::new(pair)),
            host: OnceLock::new(),
            problem: Mutex::default(),
            warned: Mutex::default(),
            check_now: Notify::new(),
        };
        certificate.warn_of_end(SystemTime::now());
        Ok(certificate)
    }

    pub(super) fn current(&self) -> Arc<Pair> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the host by which clients reach this server, and warns if the certificate has another
    /// name.
    pub(crate) fn set_host(&self, host: &str) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(host) = ServerName::try_from(host.to_owned()) {
            // The host is set once, when the server starts.
            let _ = self.host.set(host);
        }
        self.warn_of_name();
    }

    pub(crate) fn status(&self) -> TlsStatus {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        TlsStatus {
            not_after_ms: unix_ms(self.current().not_after()),
            error: problem
                .as_ref()
                .filter(|problem| problem.is_reported)
                .map(|problem| problem.text.clone()),
        }
    }

    /// Checks the files now and then, until the future is dropped.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        loop {
            let is_asked = tokio::select! {
                () = sleep(CHECK_EVERY) => false,
                () = self.check_now.notified() => true,
            };
            let certificate = Arc::clone(&self);
            let checked = spawn_blocking(move || certificate.check(SystemTime::now(), is_asked)).await;
            if let Err(error) = checked {
                error!(%error, "cannot check the files of the TLS certificate");
            }
        }
    }

    /// Reads the files, and takes what they contain if it can be used. The call blocks.
    ///
    /// The two files of a new certificate may be written one after the other. The server therefore
    /// reports a problem at its second check only, unless the operator asks for the check.
    pub(super) fn check(&self, now: SystemTime, is_asked: bool) -> Checked {
        let checked = match self.read_changed(now) {
            Ok(None) => {
                self.forget_problem();
                Checked::Unchanged
            }
            Ok(Some(pair)) => {
                info!(
                    certificate = %self.files.certificate.display(),
                    not_after = pair.end(),
                    "new clients receive a new TLS certificate"
                );
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                self.forget_problem();
                self.warn_of_name();
                Checked::Replaced
            }
            Err(error) => Checked::Kept {
                is_new: self.note_problem(&error, is_asked),
            },
        };
        self.warn_of_end(now);
        checked
    }

    /// Returns the pair in the files if it differs from the pair in use.
    fn read_changed(&self, now: SystemTime) -> Result<Option<Pair>, TlsError> {
        let contents = self.files.read()?;
        let current = self.current();
        if contents.digest() == current.digest {
            return Ok(None);
        }
        let pair = Pair::new(&self.files, &contents)?;
        // A certificate that clients refuse must not replace a certificate that they accept.
        if current.must_be_valid_at(now, &self.files).is_ok() {
            pair.must_be_valid_at(now, &self.files)?;
        }
        warn_of_public_key(&self.files, &contents);
        Ok(Some(pair))
    }

    /// Returns `true` if it has told the operator.
    fn note_problem(&self, error: &TlsError, is_asked: bool) -> bool {
        let text = error.to_string();
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let (was_seen, was_reported) = match &*problem {
            Some(earlier) if earlier.text == text => (true, earlier.is_reported),
            _ => (false, false),
        };
        let reports = (was_seen && !was_reported) || is_asked;
        if reports {
            error!("keeping the TLS certificate in use, because the new one cannot be used: {text}");
        }
        *problem = Some(Problem {
            text,
            is_reported: reports || was_reported,
        });
        reports
    }

    fn forget_problem(&self) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn warn_of_name(&self) {
        if let Some(host) = self.host.get()
            && !self.current().names(host)
        {
            warn!(
                certificate = %self.files.certificate.display(),
                host = %host.to_str(),
                "the TLS certificate is not for the host of the client URL, so clients refuse it there. Give a \
                 --client-url with a name of the certificate, such as wss://db1.example:7001/v1"
            );
        }
    }

    /// Warns the operator if the certificate ends soon or cannot be used now, once a day.
    fn warn_of_end(&self, now: SystemTime) {
        let current = self.current();
        let validity = current.validity_at(now);
        if validity == Validity::Valid {
            return;
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |warned: &Warned| warned.digest == current.digest && warned.at.elapsed() < WARN_EVERY;
        if warned.as_ref().is_some_and(is_recent) {
            return;
        }
        let not_after = current.end();
        match validity {
            Validity::Valid => {}
            Validity::EndsSoon { days } => warn!(not_after, days, "the TLS certificate ends soon: renew it"),
            Validity::Ended => error!(
                not_after,
                "the TLS certificate has ended, so clients refuse it: renew it"
            ),
            Validity::NotYet => error!(
                not_after,
                "the TLS certificate is not valid yet, so clients refuse it: correct the clock of this machine, or give \
                 another certificate"
            ),
        }
        *warned = Some(Warned {
            digest: current.digest,
            at: Instant::now(),
        });
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().certified))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Asks a running server to check the files of its TLS certificate at once. Without it, the server
/// checks them every 5 s.
#[derive(Clone, Debug)]
pub struct CertificateReload(Arc<Certificate>);

impl CertificateReload {
    pub(crate) fn new(certificate: &Arc<Certificate>) -> Self {
        Self(Arc::clone(certificate))
    }

    /// Asks for the check, and returns at once. The log has the result. Several requests before a
    /// check count as one.
    pub fn check_now(&self) {
        self.0.check_now.notify_one();
    }
}

fn warn_of_public_key(files: &TlsFiles, contents: &Contents) {
    if contents.is_key_public {
        warn!(
            key = %files.key.display(),
            "every user of this machine can read the TLS key: give the file the permissions 0640 or fewer"
        );
    }
}
