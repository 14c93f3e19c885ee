using System.Collections.Concurrent;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Operators' own maintenance pages, read before they are needed and again each second. One that cannot be read (or is larger than
/// <see cref="MostBytes"/>) leaves the last good one, or ours.
/// </summary>
internal sealed class MaintenancePages(Action<string> tell) : IAsyncDisposable
{
    public const int MostBytes = 1 << 20;
    private static readonly TimeSpan period = TimeSpan.FromSeconds(1);

    private sealed record Page(byte[]? Content, DateTime Changed, string? Problem);

    private readonly ConcurrentDictionary<string, Page> pages = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource stopping = new();
    private Task loop = Task.CompletedTask;

    public void Start() => loop = RunAsync();

    /// <summary>Null when there is none that can be read.</summary>
    public byte[]? Find(string? file) => file is not null && pages.TryGetValue(file, out var page) ? page.Content : null;

    /// <summary>Forgets all others, and reads what is new.</summary>
    public void Keep(IEnumerable<string> files)
    {
        var wanted = files.ToHashSet(StringComparer.Ordinal);
        foreach (var gone in pages.Keys.Except(wanted)) pages.TryRemove(gone, out _);
        foreach (var file in wanted.Except(pages.Keys)) pages.TryAdd(file, Read(file, null));
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync().ConfigureAwait(false);
        await loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stopping.Dispose();
    }

    private async Task RunAsync()
    {
        using var timer = new PeriodicTimer(period);
        while (await timer.WaitForNextTickAsync(stopping.Token).ConfigureAwait(false))
            foreach (var (file, before) in pages) pages.TryUpdate(file, Read(file, before), before);
    }

    private Page Read(string file, Page? before)
    {
        try
        {
            var information = new FileInfo(file);
            var changed = information.LastWriteTimeUtc;
            if (before is { Problem: null } && before.Changed == changed) return before;
            if (information.Length > MostBytes) return Failed(file, before, $"it is larger than {MostBytes} bytes");
            return new Page(File.ReadAllBytes(file), changed, null);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return Failed(file, before, failure.Message);
        }
    }

    private Page Failed(string file, Page? before, string problem)
    {
        if (before?.Problem != problem) tell($"the maintenance page {file} cannot be used: {problem}; {(before?.Content is null ? "the built-in one is shown" : "the last one is shown on")}");
        return new Page(before?.Content, before?.Changed ?? default, problem);
    }
}
