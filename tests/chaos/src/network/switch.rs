use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, PipeWriter};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::SyncDevice;

use super::packet::{Segment, ends};
use super::rules::{Fate, Rules};

/// Highest number of packets that the switch passes on from one host before it turns to the next
/// host.
const BATCH: usize = 32;

/// The largest packet there is.
const LARGEST: usize = 65_536;

/// Numbers of packets by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Arrived, at once or later.
    pub passed: u64,
    /// Arrived later, or will arrive.
    pub delayed: u64,
    /// Did not arrive.
    pub lost: u64,
}

/// The switch: a thread that reads from every host's device and writes to those of others.
///
/// One thread for all, and no runtime: a packet costs a read, a look at the rules and a write.
#[derive(Debug)]
pub(super) struct Switch {
    shared: Arc<Shared>,
    /// The thread ends when this is closed.
    alive: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    rules: Mutex<Rules>,
    passed: AtomicU64,
    delayed: AtomicU64,
    lost: AtomicU64,
}

impl Switch {
    /// Starts to pass packets between these devices, each with the last byte of its host's address.
    pub(super) fn start(devices: Vec<(u8, SyncDevice)>, rules: Rules) -> Result<Self> {
        let shared = Arc::new(Shared {
            rules: Mutex::new(rules),
            passed: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let (ended, alive) = io::pipe()?;
        let mut ports = Ports::new(devices, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("switch".into())
            .spawn(move || ports.run(&ended))
            .context("starting the switch")?;
        Ok(Self {
            shared,
            alive: Some(alive),
            thread: Some(thread),
        })
    }

    pub(super) fn with_rules<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        change(&mut self.shared.rules())
    }

    pub(super) fn traffic(&self) -> Traffic {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            passed: count(&self.shared.passed),
            delayed: count(&self.shared.delayed),
            lost: count(&self.shared.lost),
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // An error of the thread has no receiver, even if it has panicked.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The data of the switch's thread.
struct Ports {
    devices: Vec<SyncDevice>,
    /// The place of a host's device, by the last byte of its address.
    places: [Option<usize>; 256],
    shared: Arc<Shared>,
    /// Packets that arrive later, those first that arrive first.
    waiting: BinaryHeap<Reverse<Waiting>>,
    sent: u64,
}

/// Sorted by when it arrives, and then by when it was sent.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    at: Instant,
    sent: u64,
    packet: Vec<u8>,
}

impl Ports {
    fn new(devices: Vec<(u8, SyncDevice)>, shared: Arc<Shared>) -> Self {
        let mut places = [None; 256];
        for (place, (last, _)) in devices.iter().enumerate() {
            places[usize::from(*last)] = Some(place);
        }
        Self {
            devices: devices.into_iter().map(|(_, device)| device).collect(),
            places,
            shared,
            waiting: BinaryHeap::new(),
            sent: 0,
        }
    }

    fn run(&mut self, ended: &impl AsFd) {
        let mut buffer = vec![0; LARGEST];
        loop {
            let timeout = self.waiting.peek().map(|Reverse(next)| {
                TimeSpec::from_duration(next.at.saturating_duration_since(Instant::now()))
            });
            let devices = self
                .devices
                .iter()
                .map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN));
            let mut polled: Vec<PollFd<'_>> = devices.collect();
            polled.push(PollFd::new(ended.as_fd(), PollFlags::POLLIN));
            match ppoll(&mut polled, timeout, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => {
                    eprintln!("the switch ends, and with it the network: {error}");
                    return;
                }
            }
            let ready: Vec<bool> = polled.iter().map(|fd| fd.any().unwrap_or(false)).collect();
            if ready.last() == Some(&true) {
                return;
            }
            self.release();
            for place in (0..self.devices.len()).filter(|place| ready[*place]) {
                self.pass_on(place, &mut buffer);
            }
        }
    }

    /// Passes on the packets that a host has sent.
    fn pass_on(&mut self, from: usize, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            let Ok(length) = self.devices[from].recv(buffer) else {
                return;
            };
            let packet = &buffer[..length];
            let fate = self.shared.rules().fate(packet);
            match fate {
                Fate::Passed => self.deliver(packet),
                Fate::Delayed(delay) => {
                    self.shared.delayed.fetch_add(1, Ordering::Relaxed);
                    self.sent += 1;
                    self.waiting.push(Reverse(Waiting {
                        at: Instant::now() + delay,
                        sent: self.sent,
                        packet: packet.to_vec(),
                    }));
                }
                Fate::Lost => self.count_lost(),
                Fate::Reset => {
                    self.count_lost();
                    for reset in Segment::of(packet).iter().flat_map(Segment::resets) {
                        self.deliver(&reset);
                    }
                }
            }
        }
    }

    /// Passes on the packets whose delay has ended.
    fn release(&mut self) {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|Reverse(next)| next.at <= now) {
            let Some(Reverse(Waiting { packet, .. })) = self.waiting.pop() else {
                return;
            };
            let arrives = self.shared.rules().arrives(&packet);
            if arrives {
                self.deliver(&packet);
            } else {
                self.count_lost();
            }
        }
    }

    fn deliver(&self, packet: &[u8]) {
        let to = ends(packet).and_then(|(_, to)| self.places[usize::from(to)]);
        // The address has no host, or the host's queue is full: the packet is lost, as on any
        // network.
        let delivered = to.is_some_and(|to| self.devices[to].send(packet).is_ok());
        if delivered {
            self.shared.passed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.count_lost();
        }
    }

    fn count_lost(&self) {
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
    }
}
