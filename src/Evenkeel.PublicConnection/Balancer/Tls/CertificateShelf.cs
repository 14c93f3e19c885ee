using System.Collections.Concurrent;
using System.Security.Cryptography;
using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Tls;

/// <summary>
/// The certificates of all doors, as their files are now. They are read again every second: what a renewal has written is shown to
/// the next client, and established connections notice nothing. A pair that cannot be read or does not fit together (a renewal is
/// half done) changes nothing: the last good one is shown on. Contents are compared, not times: tools that swap symbolic links
/// or keep times are understood too.
/// </summary>
internal sealed class CertificateShelf(Action<string> tell) : IAsyncDisposable
{
    private static readonly TimeSpan period = TimeSpan.FromSeconds(1);

    private sealed record Kept(byte[] Digest, ServerCertificate? Certificate, string? Problem);

    private readonly ConcurrentDictionary<CertificateFiles, Kept> shelf = new();
    private readonly Lock reading = new();
    private readonly CancellationTokenSource stopping = new();
    private Task loop = Task.CompletedTask;

    public void Start() => loop = RunAsync();

    /// <summary>What fits the name best, else the first that can be read; null when none can.</summary>
    public ServerCertificate? Find(IEnumerable<CertificateFiles> files, string? name)
    {
        ServerCertificate? best = null;
        var most = -1;
        foreach (var pair in files)
        {
            if (Get(pair) is not { } certificate) continue;
            var fits = string.IsNullOrEmpty(name) ? 0 : certificate.Fits(name);
            if (fits > most) (best, most) = (certificate, fits);
        }
        return best;
    }

    /// <summary>Forgets all others, and reads what is new, soon: not at the first client, when a renewal may just be half done.</summary>
    public void Keep(IEnumerable<CertificateFiles> wanted)
    {
        CertificateFiles[] all = [.. wanted.Distinct()];
        foreach (var gone in shelf.Keys.Except(all)) shelf.TryRemove(gone, out _);
        if (all.All(shelf.ContainsKey)) return;
        ThreadPool.UnsafeQueueUserWorkItem(static work => work.Shelf.Fetch(work.All), (Shelf: this, All: all), preferLocal: false);
    }

    /// <summary>Reads those that have never been read.</summary>
    public void Fetch(IEnumerable<CertificateFiles> wanted)
    {
        foreach (var files in wanted) Get(files);
    }

    public void Reload()
    {
        foreach (var (files, before) in shelf) Read(files, before);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync().ConfigureAwait(false);
        await loop.ConfigureAwait(false);
        stopping.Dispose();
    }

    private ServerCertificate? Get(CertificateFiles files)
    {
        if (shelf.TryGetValue(files, out var kept)) return kept.Certificate;
        lock (reading) return shelf.TryGetValue(files, out kept) ? kept.Certificate : Read(files, null).Certificate;
    }

    private Kept Read(CertificateFiles files, Kept? before)
    {
        Kept now;
        try
        {
            var (certificate, key) = (File.ReadAllBytes(files.Certificate), File.ReadAllBytes(files.Key));
            var digest = SHA256.HashData([.. SHA256.HashData(certificate), .. SHA256.HashData(key)]);
            if (before is { Problem: null } && before.Digest.AsSpan().SequenceEqual(digest)) return before;
            now = new Kept(digest, ServerCertificate.Read(certificate, key), null);
            CryptographicOperations.ZeroMemory(key);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            now = new Kept([], before?.Certificate, failure.Message);
            if (before?.Problem != now.Problem)
                tell($"the certificate {files.Certificate} with the key {files.Key} cannot be used: {failure.Message}{(now.Certificate is null ? "" : "; the last good one is shown on")}");
        }
        if (before?.Problem is not null && now.Problem is null) tell($"the certificate {files.Certificate} can be used again");
        // Only where it still is: it may have been forgotten meanwhile.
        if (before is null) shelf[files] = now;
        else shelf.TryUpdate(files, now, before);
        return now;
    }

    private async Task RunAsync()
    {
        using var timer = new PeriodicTimer(period);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token).ConfigureAwait(false)) Reload();
        }
        catch (OperationCanceledException) { }
    }
}
