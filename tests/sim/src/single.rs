//! Histories of one kind: one crash, one crash at each step of something, one hour of loss.
