using Evenkeel.Core.Model;
using Evenkeel.Guard.Native;

namespace Evenkeel.Guard.Loop;

/// <summary>The descriptors that one round waits for. A handful, rebuilt each round: poll(2) asks for no more.</summary>
internal sealed unsafe class PollSet
{
    private Libc.PollFd[] _fds = new Libc.PollFd[16];
    private int _count;

    public void Clear() => _count = 0;

    /// <returns>Where to ask <see cref="IsReady"/>.</returns>
    public int Add(int descriptor, bool writable = false)
    {
        if (_count == _fds.Length) Array.Resize(ref _fds, _count * 2);
        _fds[_count] = new() { Fd = descriptor, Events = (short)(Libc.PollIn | (writable ? Libc.PollOut : 0)) };
        return _count++;
    }

    /// <summary>Readable, writable where asked for, hung up or in error: all are found out by trying.</summary>
    public bool IsReady(int index) => _fds[index].Returned != 0;

    /// <summary>Until something is ready or the moment has come; a signal may end it early.</summary>
    public void Wait(Instant now, Instant until)
    {
        var nanoseconds = Math.Clamp(Math.Min(until.BootNanoseconds - now.BootNanoseconds, until.RawNanoseconds - now.RawNanoseconds), 0, 1_000_000_000);
        var timeout = new Libc.TimeSpec { Seconds = nanoseconds / 1_000_000_000, Nanoseconds = nanoseconds % 1_000_000_000 };
        for (var i = 0; i < _count; i++) _fds[i].Returned = 0;
        fixed (Libc.PollFd* fds = _fds)
            if (Libc.Poll(fds, (nuint)_count, &timeout, 0) < 0)
                for (var i = 0; i < _count; i++) _fds[i].Returned = 0;
    }
}
