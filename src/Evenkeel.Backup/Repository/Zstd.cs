using System.Buffers;
using System.Collections.Concurrent;

namespace Evenkeel.Backup.Repository;

/// <summary>
/// Zstandard (RFC 8878) in one piece: the native library where it loads, a managed port of it elsewhere. Safe for concurrent use.
/// </summary>
/// <remarks>Contexts are kept and reused: each one costs a megabyte and some time to make.</remarks>
internal sealed class Zstd : IDisposable
{
    private readonly IZstdCodec _codec;

    private Zstd(IZstdCodec codec) => _codec = codec;

    /// <summary>The fastest codec that works on this machine.</summary>
    public static Zstd Create(int level = 3) => NativeZstd.Works.Value ? new(new NativeZstd(level)) : new(new ManagedZstd(level));

    /// <summary>The managed codec, whatever else is there.</summary>
    public static Zstd CreateManaged(int level = 3) => new(new ManagedZstd(level));

    /// <summary>The longest a compressed form of <paramref name="length"/> bytes can be (zstd.h, ZSTD_COMPRESSBOUND).</summary>
    public static int Bound(int length) => length + (length >> 8) + (length < 128 << 10 ? ((128 << 10) - length) >> 11 : 0);

    public int Compress(ReadOnlySpan<byte> content, Span<byte> output) => _codec.Compress(content, output);

    /// <summary>Decompresses into exactly <paramref name="output"/>; false when the input is damaged or of another length.</summary>
    public bool TryDecompress(ReadOnlySpan<byte> compressed, Span<byte> output) => _codec.TryDecompress(compressed, output);

    /// <summary>Decompresses a whole frame of unknown length, refusing more than <paramref name="limit"/> bytes.</summary>
    public byte[] Decompress(byte[] compressed, int offset, int limit)
    {
        try
        {
            using var stream = _codec.OpenReader(new MemoryStream(compressed, offset, compressed.Length - offset));
            var output = new MemoryStream();
            var buffer = ArrayPool<byte>.Shared.Rent(1 << 16);
            try
            {
                for (int read; (read = stream.Read(buffer)) > 0;)
                {
                    output.Write(buffer, 0, read);
                    if (output.Length > limit)
                    {
                        throw new RepositoryException(RepositoryError.Damaged, "a compressed file expands beyond any sense");
                    }
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
            return output.ToArray();
        }
        catch (Exception e) when (e is not RepositoryException)
        {
            throw new RepositoryException(RepositoryError.Damaged, "a compressed file does not decompress", e);
        }
    }

    public void Dispose() => _codec.Dispose();

    private interface IZstdCodec : IDisposable
    {
        int Compress(ReadOnlySpan<byte> content, Span<byte> output);

        bool TryDecompress(ReadOnlySpan<byte> compressed, Span<byte> output);

        Stream OpenReader(Stream compressed);
    }

    private sealed class NativeZstd(int level) : IZstdCodec
    {
        public static readonly Lazy<bool> Works = new(() =>
        {
            try
            {
                using var probe = new ZstdNet.Compressor();
                return probe.Wrap([1, 2, 3]).Length > 0;
            }
            catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or EntryPointNotFoundException or BadImageFormatException)
            {
                return false;
            }
        });

        private readonly ZstdNet.CompressionOptions _options = new(level);
        private readonly ConcurrentBag<ZstdNet.Compressor> _compressors = [];
        private readonly ConcurrentBag<ZstdNet.Decompressor> _decompressors = [];

        public int Compress(ReadOnlySpan<byte> content, Span<byte> output)
        {
            if (!_compressors.TryTake(out var compressor))
            {
                compressor = new ZstdNet.Compressor(_options);
            }
            var length = compressor.Wrap(content, output);
            _compressors.Add(compressor);
            return length;
        }

        public bool TryDecompress(ReadOnlySpan<byte> compressed, Span<byte> output)
        {
            if (!_decompressors.TryTake(out var decompressor))
            {
                decompressor = new ZstdNet.Decompressor();
            }
            try
            {
                return decompressor.Unwrap(compressed, output, bufferSizePrecheck: false) == output.Length;
            }
            catch (ZstdNet.ZstdException)
            {
                return false;
            }
            finally
            {
                _decompressors.Add(decompressor);
            }
        }

        public Stream OpenReader(Stream compressed) => new ZstdNet.DecompressionStream(compressed);

        public void Dispose()
        {
            while (_compressors.TryTake(out var compressor))
            {
                compressor.Dispose();
            }
            while (_decompressors.TryTake(out var decompressor))
            {
                decompressor.Dispose();
            }
            _options.Dispose();
        }
    }

    private sealed class ManagedZstd(int level) : IZstdCodec
    {
        private readonly ConcurrentBag<ZstdSharp.Compressor> _compressors = [];
        private readonly ConcurrentBag<ZstdSharp.Decompressor> _decompressors = [];

        public int Compress(ReadOnlySpan<byte> content, Span<byte> output)
        {
            if (!_compressors.TryTake(out var compressor))
            {
                compressor = new ZstdSharp.Compressor(level);
            }
            var length = compressor.Wrap(content, output);
            _compressors.Add(compressor);
            return length;
        }

        public bool TryDecompress(ReadOnlySpan<byte> compressed, Span<byte> output)
        {
            if (!_decompressors.TryTake(out var decompressor))
            {
                decompressor = new ZstdSharp.Decompressor();
            }
            try
            {
                return decompressor.Unwrap(compressed, output) == output.Length;
            }
            catch (ZstdSharp.ZstdException)
            {
                return false;
            }
            finally
            {
                _decompressors.Add(decompressor);
            }
        }

        public Stream OpenReader(Stream compressed) => new ZstdSharp.DecompressionStream(compressed);

        public void Dispose()
        {
            while (_compressors.TryTake(out var compressor))
            {
                compressor.Dispose();
            }
            while (_decompressors.TryTake(out var decompressor))
            {
                decompressor.Dispose();
            }
        }
    }
}
