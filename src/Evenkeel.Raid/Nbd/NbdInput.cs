using System.Runtime.CompilerServices;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>What a client sends, read in large gulps: many small requests cost one system call.</summary>
internal sealed class NbdInput(Stream stream) : IDisposable
{
    private readonly IoBuffer _buffer = IoBuffer.Rent(64 * 1024);
    private int _from;
    private int _to;

    public bool Has(int bytes) => _to - _from >= bytes;

    /// <summary>The next bytes, which <see cref="Has"/> says are there; valid until the next call.</summary>
    public ReadOnlySpan<byte> Take(int bytes)
    {
        var taken = _buffer.Span.Slice(_from, bytes);
        _from += bytes;
        return taken;
    }

    /// <summary>Waits until so many bytes are there, at most a few hundred.</summary>
    /// <exception cref="EndOfStreamException">The client is gone.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FillAsync(int bytes, CancellationToken stop)
    {
        if (_from > 0)
        {
            _buffer.Span[_from.._to].CopyTo(_buffer.Span);
            (_from, _to) = (0, _to - _from);
        }

        while (_to < bytes)
        {
            var read = await stream.ReadAsync(_buffer.Memory[_to..], stop).ConfigureAwait(false);
            if (read == 0) throw new EndOfStreamException("The client is gone.");
            _to += read;
        }
    }

    /// <summary>Fills a payload: from what is here already, then from the stream without a detour.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadAsync(Memory<byte> target, CancellationToken stop)
    {
        var here = Math.Min(target.Length, _to - _from);
        _buffer.Span.Slice(_from, here).CopyTo(target.Span);
        _from += here;
        if (here < target.Length) await stream.ReadExactlyAsync(target[here..], stop).ConfigureAwait(false);
    }

    public void Dispose() => _buffer.Dispose();
}
