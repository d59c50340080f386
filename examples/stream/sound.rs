//! Sounds of one channel.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// Samples from -1 to 1.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) samples: Vec<f32>,
    /// Samples a second.
    pub(crate) rate: u32,
}

impl Sound {
    /// Of a file: whole numbers of 8 to 32 bits or floats.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let reader = WavReader::open(path).map_err(|error| wrong(&error))?;
        let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
        if channels != 1 {
            return Err(wrong(&format!("expected one channel, got {channels}")));
        }
        if sample_rate == 0 {
            return Err(wrong(&"expected samples a second, got 0"));
        }
        let samples: Result<Vec<f32>, hound::Error> = match sample_format {
            SampleFormat::Float => reader.into_samples::<f32>().collect(),
            SampleFormat::Int => {
                let full = 2_f64.powi(i32::from(bits_per_sample) - 1);
                let scaled = |sample: i32| (f64::from(sample) / full) as f32;
                reader.into_samples::<i32>().map(|sample| sample.map(scaled)).collect()
            }
        };
        Ok(Sound { samples: samples.map_err(|error| wrong(&error))?, rate: sample_rate })
    }

    /// Plucked strings, roughly: falling partials, a new one twice a second.
    pub(crate) fn made(rate: u32, seconds: f64) -> Self {
        let count = (seconds * f64::from(rate)) as usize;
        let sample = |n: usize| {
            let t = n as f64 / f64::from(rate);
            let since = t % 0.5;
            let pitch = 82.4 * 2_f64.powf(f64::from((t * 2.0) as u32 * 5 % 12) / 12.0);
            let partial = |k: f64| (std::f64::consts::TAU * pitch * k * since).sin() * (-since * 3.0 * k).exp() / k;
            (0.5 * (1..=4).map(|k| partial(f64::from(k))).sum::<f64>()) as f32
        };
        Sound { samples: (0..count).map(sample).collect(), rate }
    }
}

/// Writes samples as 32-bit floats.
pub(crate) fn write(path: &Path, samples: &[f32], rate: u32) -> Result<(), String> {
    let wrong = |error: hound::Error| format!("{}: {error}", path.display());
    let spec = WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut writer = WavWriter::create(path, spec).map_err(wrong)?;
    for sample in samples {
        writer.write_sample(*sample).map_err(wrong)?;
    }
    writer.finalize().map_err(wrong)
}
