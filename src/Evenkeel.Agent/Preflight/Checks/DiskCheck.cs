using System.Diagnostics;
using System.Globalization;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>The state directory's disk: how long it takes to make a write durable (every decision waits for that on a majority), room, kind.</summary>
internal sealed class DiskCheck(PreflightSubject subject) : PreflightCheck("disk", subject)
{
    private const int Writes = 200, Bytes = 4096;
    // A disk so slow that this is not enough for all of them has shown what it is.
    private static readonly TimeSpan LongEnough = TimeSpan.FromSeconds(10);
    // etcd's own advice: 99 % of the syncs of its log below this (etcd.io/docs, hardware).
    private static readonly TimeSpan Good = TimeSpan.FromMilliseconds(10);
    private const long Needed = 1L << 30, Least = 256L << 20;
    private static readonly string[] s_forgets = ["tmpfs", "ramfs"];
    private static readonly string[] s_remote = ["nfs", "nfs4", "cifs", "smb2", "fuse", "fuseblk", "9p", "ceph"];

    public override Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation) => Task.FromResult<IReadOnlyList<PreflightFinding>>([.. Look(cancellation)]);

    private IEnumerable<PreflightFinding> Look(CancellationToken cancellation)
    {
        var directory = Existing(Subject.StateDirectory);
        var drive = new DriveInfo(directory);
        if (s_forgets.Contains(drive.DriveFormat))
        {
            yield return Warning($"{directory} is a {drive.DriveFormat}: what it holds is gone after a power failure", "A disk for the state directory (--state)");
        }
        else if (s_remote.Contains(drive.DriveFormat))
        {
            yield return Failed($"{directory} is on {drive.DriveFormat}: the cluster's state would depend on another server", "A local disk for the state directory (--state)");
        }

        if (drive.AvailableFreeSpace < Needed)
        {
            var what = $"{directory} has {drive.AvailableFreeSpace >> 20} MiB of room";
            const string mend = "1 GiB or more for etcd, its snapshots and logs";
            yield return drive.AvailableFreeSpace < Least ? Failed(what, mend) : Warning(what, mend);
        }

        List<TimeSpan> times;
        string? reason = null;
        try
        {
            times = Measure(directory, cancellation);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            (times, reason) = ([], exception.Message);
        }

        yield return reason is not null ? Failed($"{directory} cannot be written: {reason}", "Run it as root; is the disk full, read-only or failing (df, dmesg)?") : Judge(directory, times);
    }

    private PreflightFinding Judge(string directory, List<TimeSpan> times)
    {
        var (middle, high, worst) = (times[times.Count / 2], times[times.Count * 99 / 100], times[^1]);
        var words = $"{directory}: a durable write takes {Milliseconds(middle)} ms (median), {Milliseconds(high)} ms (99 %), {Milliseconds(worst)} ms (worst of {times.Count})";
        const string mend = "A disk with a protected write cache (an SSD with power-loss protection), shared with nothing that writes much";
        if (!Subject.HoldsStore)
        {
            return Passed(words + "; the node holds no part of the store");
        }

        return high > Subject.Spec.Timings.Detection ? Failed($"{words}: longer than the {Subject.Spec.Timings.Detection.TotalMilliseconds:0} ms after which a node counts as lost", mend)
            : high > Good ? Warning($"{words}: etcd asks for less than {Good.TotalMilliseconds:0} ms in 99 %", mend)
            : Passed(words);
    }

    // As etcd writes its log: appended, then made durable.
    private static List<TimeSpan> Measure(string directory, CancellationToken cancellation)
    {
        var times = new List<TimeSpan>(Writes);
        var block = new byte[Bytes];
        Random.Shared.NextBytes(block);
        using var file = new FileStream(Path.Combine(directory, $".evenkeel-preflight-{Environment.ProcessId}"),
            new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, BufferSize = 0, Options = FileOptions.DeleteOnClose, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
        for (var measuring = Stopwatch.StartNew(); times.Count < Writes && measuring.Elapsed < LongEnough;)
        {
            cancellation.ThrowIfCancellationRequested();
            var began = Stopwatch.GetTimestamp();
            file.Write(block);
            file.Flush(flushToDisk: true);
            times.Add(Stopwatch.GetElapsedTime(began));
        }

        times.Sort();
        return times;
    }

    /// <summary>The directory, or the one in which it would be made.</summary>
    private static string Existing(string directory)
    {
        var path = Path.GetFullPath(directory);
        while (!Directory.Exists(path))
        {
            path = Path.GetDirectoryName(path) ?? "/";
        }

        return path;
    }

    private static string Milliseconds(TimeSpan time) => time.TotalMilliseconds.ToString("0.##", CultureInfo.InvariantCulture);
}
