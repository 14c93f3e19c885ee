using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>What the other side sends, read in large gulps: many small requests cost one system call. Blocks its caller's thread.</summary>
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
    /// <exception cref="EndOfStreamException">The other side is gone.</exception>
    public void Fill(int bytes)
    {
        if (_from > 0)
        {
            _buffer.Span[_from.._to].CopyTo(_buffer.Span);
            (_from, _to) = (0, _to - _from);
        }

        while (_to < bytes)
        {
            var read = stream.Read(_buffer.Span[_to..]);
            if (read == 0) throw new EndOfStreamException("The other side is gone.");
            _to += read;
        }
    }

    /// <summary>Fills a payload: from what is here already, then from the stream without a detour.</summary>
    /// <exception cref="EndOfStreamException">The other side is gone.</exception>
    public void Read(Span<byte> target)
    {
        var here = Math.Min(target.Length, _to - _from);
        _buffer.Span.Slice(_from, here).CopyTo(target);
        _from += here;
        if (here < target.Length) stream.ReadExactly(target[here..]);
    }

    public void Dispose() => _buffer.Dispose();
}
