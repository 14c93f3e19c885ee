using Evenkeel.Raid.Nbd;

namespace Evenkeel.Tests.Raid.Nbd;

/// <summary>An export in memory. Its calls end at once, writes as soon as they may; concurrent ones of one place are the client's business.</summary>
internal sealed class MemoryExport(string name, int bytes) : INbdExport
{
    public byte[] Content { get; } = new byte[bytes];

    /// <summary>No write ends before this.</summary>
    public Task Until { get; init; } = Task.CompletedTask;

    public string Name => name;

    public string Description => "memory";

    public long Length => Content.Length;

    public bool IsReadOnly => false;

    public bool FlushCoversAllConnections => true;

    public bool CanTrim => true;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        Content.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span);
        return default;
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        await Until;
        buffer.Span.CopyTo(Content.AsSpan((int)offset));
    }

    public ValueTask FlushAsync() => default;

    public ValueTask TrimAsync(long offset, long length)
    {
        Content.AsSpan((int)offset, (int)length).Clear();
        return default;
    }
}
