namespace Evenkeel.PublicConnection.Balancer.Tcp.Linux;

internal enum FlowState
{
    /// <summary>Nothing can be done before the next event.</summary>
    Blocked,
    /// <summary>Its share of this round is used up; there is more.</summary>
    Unfinished,
    /// <summary>The sender has ended and the receiver knows.</summary>
    Ended,
    Broken,
}

/// <summary>
/// One direction of a connection. Small messages go through the thread's buffer (two calls, no pipe); once a whole buffer was
/// full, it is bulk and goes through a pipe by splice, without being copied to us. What cannot be sent at once waits in the pipe,
/// so an idle connection holds no buffer at all.
/// </summary>
internal sealed unsafe class Flow
{
    // Of one connection before others get their turn.
    private const int RoundBytes = 1 << 20;
    private const int BulkBelow = 16 * 1024;

    private Pipe? pipe;
    private nint waiting;
    private bool bulk, ended;
    private int small;

    // Edge-triggered: true until a call has said EAGAIN (or a short read has said as much).
    public bool Readable = true, Writable = true;
    /// <summary>The sender's end was seen: short reads are no longer the last ones.</summary>
    public bool EndSeen;
    public bool Done { get; private set; }

    public FlowState Pump(Worker worker, int from, int to, ref long carried)
    {
        for (var moved = 0L; ;)
        {
            if (waiting > 0)
            {
                if (!Writable) return FlowState.Blocked;
                var sent = Sys.Splice(pipe!.ReadEnd, to, waiting);
                if (sent > 0)
                {
                    waiting -= sent;
                    carried += sent;
                    continue;
                }
                if (sent == 0 || !Again()) return FlowState.Broken;
                Writable = false;
                return FlowState.Blocked;
            }
            if (!bulk && pipe is not null) Return(worker);
            if (ended)
            {
                if (!Done) Sys.Shutdown(to);
                Done = true;
                Return(worker);
                return FlowState.Ended;
            }
            if (!Readable) return FlowState.Blocked;
            if (moved >= RoundBytes) return FlowState.Unfinished;
            var got = bulk ? Fill(worker, from) : Copy(worker, from, to, ref carried);
            if (got > 0) moved += got;
            else if (got == 0) ended = true;
            else if (!Again()) return FlowState.Broken;
            else Readable = false;
        }
    }

    public void Return(Worker worker)
    {
        if (pipe is null) return;
        // One with bytes in it belongs to nobody else.
        if (waiting == 0) worker.Return(pipe);
        else pipe.Close();
        (pipe, waiting) = (null, 0);
    }

    private nint Fill(Worker worker, int from)
    {
        pipe ??= worker.TakePipe();
        if (pipe is null)
        {
            bulk = false;
            return 1;
        }
        var got = Sys.Splice(from, pipe.WriteEnd, Pipe.Bytes);
        if (got > 0) waiting = got;
        // Messages became small again: a pipe costs two more calls for each.
        if (got is > 0 and < BulkBelow && ++small > 8) (bulk, small) = (false, 0);
        else if (got >= BulkBelow) small = 0;
        return got;
    }

    private nint Copy(Worker worker, int from, int to, ref long carried)
    {
        var got = Sys.Receive(from, worker.Buffer, Worker.BufferBytes, 0);
        if (got <= 0) return got;
        if (got < Worker.BufferBytes && !EndSeen) Readable = false;
        if (got == Worker.BufferBytes) bulk = true;
        var sent = Writable ? Sys.Send(to, worker.Buffer, got) : 0;
        if (sent < 0)
        {
            if (!Again()) return -1;
            sent = 0;
        }
        carried += sent;
        if (sent == got) return got;
        Writable = false;
        pipe ??= worker.TakePipe();
        if (pipe is null || Sys.Write(pipe.WriteEnd, worker.Buffer + sent, got - sent) != got - sent) return Lost();
        waiting = got - sent;
        return got;
    }

    // Bytes that have no place any more: the connection cannot go on truthfully.
    private static nint Lost()
    {
        System.Runtime.InteropServices.Marshal.SetLastPInvokeError(Sys.ErrorTooManyFiles);
        return -1;
    }

    private static bool Again() => Sys.LastError is Sys.ErrorAgain or Sys.ErrorInterrupted;
}
