//! Texts, vocabularies and batches, by the book's figures and by properties.

mod batches;
mod book;
mod corpus;
