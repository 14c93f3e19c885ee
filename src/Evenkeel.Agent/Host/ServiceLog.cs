using System.Runtime.CompilerServices;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>Reads a service's captured output: its last lines, then what is added.</summary>
internal static class ServiceLog
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(200);

    /// <summary>Where a service's output is; a name that is no service's leads nowhere outside of the logs.</summary>
    public static string FileOf(string stateDirectory, string service) => Path.Combine(stateDirectory, "logs", Path.GetFileName(service) + ".log");

    /// <summary>Output carries no time of its own: lines of the past bear the file's last change, new ones their arrival.</summary>
    public static async IAsyncEnumerable<LogLine> ReadAsync(
        string file, NodeName node, int last, bool follow, [EnumeratorCancellation] CancellationToken cancellation)
    {
        long position = 0;
        if (File.Exists(file))
        {
            var changed = new DateTimeOffset(File.GetLastWriteTimeUtc(file), TimeSpan.Zero);
            position = new FileInfo(file).Length;
            foreach (var line in File.ReadLines(file).TakeLast(last))
            {
                yield return new LogLine(changed, node, "output", line);
            }
        }

        while (follow)
        {
            await Task.Delay(Poll, cancellation).ConfigureAwait(false);
            var length = File.Exists(file) ? new FileInfo(file).Length : 0;
            if (length < position)
            {
                position = 0; // rotated
            }

            if (length == position)
            {
                continue;
            }

            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            stream.Position = position;
            using var reader = new StreamReader(stream);
            while (await reader.ReadLineAsync(cancellation).ConfigureAwait(false) is { } line)
            {
                yield return new LogLine(DateTimeOffset.UtcNow, node, "output", line);
            }

            position = stream.Position;
        }
    }
}
