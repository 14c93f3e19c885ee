using System.Formats.Tar;
using System.IO.Compression;
using System.Text;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>A gzip-compressed tar archive (POSIX.1-2001) of small texts, written front to back: also over a network.</summary>
public sealed class BundleArchive : IAsyncDisposable
{
    private const UnixFileMode ForOwner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly GZipStream _compressed;
    private readonly TarWriter _archive;

    public BundleArchive(Stream to)
    {
        _compressed = new GZipStream(to, CompressionLevel.Optimal, leaveOpen: true);
        _archive = new TarWriter(_compressed, TarEntryFormat.Pax, leaveOpen: true);
    }

    public async Task AddAsync(string name, string text, CancellationToken cancellation)
    {
        using var data = new MemoryStream(Encoding.UTF8.GetBytes(text));
        await _archive.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = data, Mode = ForOwner }, cancellation).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _archive.DisposeAsync().ConfigureAwait(false);
        await _compressed.DisposeAsync().ConfigureAwait(false);
    }
}
