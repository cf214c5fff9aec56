//! A thread for what must not wait for anything else in the process.

use std::io;
use std::thread;

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::sync::oneshot;

/// A thread with a tokio runtime of its own.
///
/// Tasks of the runtime that [`Server::start`](crate::Server::start) was called in may keep all of
/// its threads busy: a client's command that is read, a reply that is written, the embedding
/// program's own work. Tasks here go on meanwhile; the operating system sees to that.
///
/// Dropping it ends the thread and every task on it, soon but not at once.
#[derive(Debug)]
pub(crate) struct OwnThread {
    runtime: Handle,
    /// The thread ends when this is dropped.
    stop: oneshot::Sender<()>,
    /// Completes when the thread has ended its tasks.
    ended: oneshot::Receiver<()>,
}

impl OwnThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no further thread or file descriptor.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(runtime, stopped, end))?;
        Ok(Self {
            runtime: handle,
            stop,
            ended,
        })
    }

    /// While the guard lives, the calling thread spawns tasks and opens sockets here.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Ends the thread and what still runs on it, and waits for that.
    pub(crate) async fn end(self) {
        drop(self.stop);
        // The thread drops its side, whatever happens.
        let _ = self.ended.await;
    }
}

fn run(runtime: Runtime, stopped: oneshot::Receiver<()>, end: oneshot::Sender<()>) {
    runtime.block_on(async {
        // Nothing is ever sent: this completes when the sender is dropped.
        let _ = stopped.await;
    });
    // A name may be looked up on a thread of the runtime's; nobody waits for that any more.
    runtime.shutdown_background();
    drop(end);
}

#[cfg(test)]
mod tests {
    use core::future::pending;
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use super::*;

    /// Tells when it is dropped.
    struct Told(mpsc::Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    fn start() -> (OwnThread, mpsc::Receiver<ThreadId>) {
        let own = OwnThread::start("test").unwrap();
        let (tell, told) = mpsc::channel();
        let held = Told(tell);
        let guard = own.enter();
        tokio::spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(guard);
        (own, told)
    }

    #[test]
    fn tasks_run_while_the_caller_is_blocked_and_end_with_the_thread() {
        let (own, told) = start();
        let (tell, heard) = mpsc::channel();
        let guard = own.enter();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            let _ = tell.send(thread::current().id());
        });
        drop(guard);
        // This thread does nothing but wait.
        let there = heard.recv().unwrap();
        assert_ne!(there, thread::current().id());
        drop(own);
        told.recv().unwrap();
    }

    #[tokio::test]
    async fn the_end_is_waited_for() {
        let (own, told) = start();
        own.end().await;
        assert!(told.try_recv().is_ok());
    }
}
