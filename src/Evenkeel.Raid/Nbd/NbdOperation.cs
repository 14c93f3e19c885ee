using System.Runtime.CompilerServices;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>A request as it stands on the wire.</summary>
internal readonly record struct NbdRequest(NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length)
{
    public bool Changes => Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
}

/// <summary>
/// One request being worked on, with the buffer that it holds; used again and again. It follows the export's call by hand instead of
/// awaiting it, so that nothing is allocated for a request.
/// </summary>
internal sealed class NbdOperation
{
    private readonly NbdSession _session;
    private readonly Action _go;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _awaiter;
    private bool _flushes;

    public NbdOperation(NbdSession session) => (_session, _go) = (session, Go);

    public NbdRequest Request { get; private set; }

    /// <summary>A write's payload, or where a read goes.</summary>
    public IoBuffer? Buffer { get; set; }

    /// <summary>What a block status found.</summary>
    public List<NbdExtent> Extents { get; } = [];

    public void Start(NbdRequest request, IoBuffer? buffer)
    {
        (Request, Buffer, _flushes) = (request, buffer, false);
        Follow(flush: false);
    }

    private void Follow(bool flush)
    {
        try
        {
            Await(CallAsync(flush));
        }
        catch (Exception e) when (ErrorOf(e) is not null)
        {
            _session.Finish(this, ErrorOf(e)!.Value);
            return;
        }

        if (_awaiter.IsCompleted) Go();
        else _awaiter.UnsafeOnCompleted(_go);
    }

    private void Await(ValueTask call) => _awaiter = call.ConfigureAwait(false).GetAwaiter();

    private ValueTask CallAsync(bool flush) => flush ? _session.FlushAsync() : _session.BeginAsync(this);

    private void Go()
    {
        var error = NbdError.None;
        try
        {
            _awaiter.GetResult();
        }
        catch (Exception e) when (ErrorOf(e) is not null)
        {
            error = ErrorOf(e)!.Value;
        }

        if (error == NbdError.None && !_flushes && Request.Changes && (Request.Flags & NbdCommandFlags.Fua) != 0)
        {
            _flushes = true;
            Follow(flush: true);
            return;
        }

        _session.Finish(this, error);
    }

    private static NbdError? ErrorOf(Exception e) => e switch
    {
        IOException => NbdError.Io,
        ObjectDisposedException => NbdError.Shutdown,
        ArgumentException => NbdError.Invalid,
        _ => null,
    };
}
