//! Room in the queue: places, and memory.

use core::ops::{Add, AddAssign, Sub, SubAssign};

use crate::pipeline::job::Job;

/// One in this many places, and one in this many bytes, is for groups that have nothing waiting.
pub(super) const RESERVED: usize = 8;

/// A number of places with a number of bytes. A difference is never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) places: usize,
    pub(super) memory: usize,
}

impl Room {
    /// Returns the room that a command takes.
    pub(super) fn of(job: &Job) -> Self {
        Self {
            places: 1,
            memory: job.memory(),
        }
    }

    pub(super) fn places(places: usize) -> Self {
        Self { places, memory: 0 }
    }

    /// Returns the part of a queue of this size that is for groups that have nothing waiting. It
    /// has one place at least, if the queue has two or more.
    pub(super) fn reserve(self) -> Self {
        Self {
            places: (self.places / RESERVED).max(usize::from(self.places > 1)),
            memory: self.memory / RESERVED,
        }
    }

    /// Returns this many times the room.
    pub(super) fn times(self, factor: usize) -> Self {
        Self {
            places: self.places.saturating_mul(factor),
            memory: self.memory.saturating_mul(factor),
        }
    }

    /// Returns `true` if neither the places nor the memory exceed those of `other`.
    pub(super) fn fits_into(self, other: Self) -> bool {
        self.places <= other.places && self.memory <= other.memory
    }

    /// Returns `true` if it has no places and no memory.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl Add for Room {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            places: self.places.saturating_add(other.places),
            memory: self.memory.saturating_add(other.memory),
        }
    }
}

impl Sub for Room {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            places: self.places.saturating_sub(other.places),
            memory: self.memory.saturating_sub(other.memory),
        }
    }
}

impl AddAssign for Room {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Room {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
