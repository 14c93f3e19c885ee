using System.Text;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>The guard's end of the pipe to its <see cref="Keeper"/>. Starts it before the first instance, again if it should die.</summary>
internal sealed class KeeperLink(IReadOnlyList<string> ownCommand, string tree) : IDisposable
{
    private const int SetStatusFlags = 4;
    private readonly Dictionary<string, string> watched = [];
    private int process;
    private int pipe = -1;

    public void Watch(string instance, int mainProcess, string logFile)
    {
        var record = Keeper.Encode("+", instance, $"{mainProcess}", logFile);
        watched[instance] = record;
        if (process > 0) Write(record);
    }

    public void Forget(string instance)
    {
        if (watched.Remove(instance) && process > 0) Write(Keeper.Encode("-", instance));
    }

    public void EnsureRuns()
    {
        if (process > 0 || !ChildProcess.Pipe(out var read, out var write)) return;
        _ = Libc.fcntl(write, SetStatusFlags, Libc.OpenNonBlocking); // A stopped keeper must not stop the guard.
        process = ChildProcess.Spawn([.. ownCommand, "keep", tree], [read]);
        _ = Libc.close(read);
        pipe = write;
        foreach (var record in watched.Values) Write(record);
    }

    public void Tick()
    {
        if (process <= 0 || ChildProcess.Reap(process) is null) return;
        ClosePipe();
        process = 0;
        if (watched.Count > 0) EnsureRuns();
    }

    private unsafe void Write(string record)
    {
        var bytes = Encoding.UTF8.GetBytes(record);
        fixed (byte* start = bytes)
        {
            if (Libc.write(pipe, start, bytes.Length) == bytes.Length) return;
        }
        // Full or broken: a keeper that misses a record is worth nothing; the next tick starts another.
        if (process > 0) _ = Libc.kill(process, Libc.SigKill);
    }

    private void ClosePipe()
    {
        if (pipe >= 0) _ = Libc.close(pipe);
        pipe = -1;
    }

    public unsafe void Dispose()
    {
        int status;
        if (process > 0)
        {
            _ = Libc.kill(process, Libc.SigKill);
            _ = Libc.waitpid(process, &status, 0);
        }
        process = 0;
        ClosePipe();
    }
}
