using System.Threading.Channels;
using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Access;

/// <summary>
/// Writes access logs, apart from the requests: one that cannot be written down is counted and served all the same. The file is
/// opened for each batch, so that it may be renamed, truncated or deleted at any time.
/// </summary>
internal sealed class AccessLogs : IAsyncDisposable
{
    private const int MostWaiting = 20_000, MostInBatch = 1_000;
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(2);

    private readonly Channel<(AccessLogSpec Log, AccessLine Line)> waiting =
        Channel.CreateBounded<(AccessLogSpec, AccessLine)>(new BoundedChannelOptions(MostWaiting) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private readonly Action<string> tell;
    private readonly Dictionary<string, string> problems = new(StringComparer.Ordinal);
    private readonly Task work;
    private long lost;

    public AccessLogs(Action<string> tell)
    {
        this.tell = tell;
        work = Task.Run(WriteAsync);
    }

    /// <summary>Lines that were not written: there were too many at once, or the file could not be written.</summary>
    public long Lost => Volatile.Read(ref lost);

    public void Add(AccessLogSpec log, AccessLine line)
    {
        if (!waiting.Writer.TryWrite((log, line))) Interlocked.Increment(ref lost);
    }

    /// <summary>What waits is still written.</summary>
    public async ValueTask DisposeAsync()
    {
        waiting.Writer.TryComplete();
        await work.WaitAsync(patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task WriteAsync()
    {
        var batch = new List<(AccessLogSpec Log, AccessLine Line)>();
        while (await waiting.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            while (batch.Count < MostInBatch && waiting.Reader.TryRead(out var one)) batch.Add(one);
            foreach (var file in batch.GroupBy(one => one.Log.File, StringComparer.Ordinal)) await WriteAsync(file.Key, [.. file]).ConfigureAwait(false);
            batch.Clear();
        }
    }

    private async Task WriteAsync(string file, IReadOnlyList<(AccessLogSpec Log, AccessLine Line)> lines)
    {
        using var text = new MemoryStream();
        foreach (var (log, line) in lines) line.Write(text, log.Format);
        try
        {
            await using var open = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            await open.WriteAsync(text.GetBuffer().AsMemory(0, (int)text.Length)).ConfigureAwait(false);
            if (problems.Remove(file)) tell($"the access log {file} is written again");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Interlocked.Add(ref lost, lines.Count);
            if (problems.TryGetValue(file, out var known) && known == failure.Message) return;
            problems[file] = failure.Message;
            tell($"the access log {file} cannot be written: {failure.Message}; requests are served, their lines are lost");
        }
    }
}
