using System.Runtime.InteropServices;
using Evenkeel.Guard.Native;

namespace Evenkeel.Guard.Loop;

/// <summary>SIGTERM and SIGINT become a readable descriptor, so that the loop releases everything before it ends. SIGHUP means nothing here.</summary>
internal sealed unsafe class StopSignals : IDisposable
{
    private readonly int _event = Libc.EventFd(0, 0x80800); // EFD_CLOEXEC | EFD_NONBLOCK
    private readonly List<PosixSignalRegistration> _registrations = [];

    public StopSignals()
    {
        foreach (var signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGTERM, PosixSignal.SIGINT])
            _registrations.Add(PosixSignalRegistration.Create(signal, context => { context.Cancel = true; Raise(); }));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true));
    }

    public int Descriptor => _event;

    public void Raise()
    {
        ulong one = 1;
        _ = Libc.Write(_event, &one, sizeof(ulong));
    }

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _ = Libc.Close(_event);
    }
}
