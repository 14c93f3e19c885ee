using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.PrivateConnection.Store.Etcd;

// Below the cgroup of the agent, which must not be emptied with it (KillMode=process). No cpu controller is asked for: in a group with a
// weight of its own, etcd's raised priority would count against nobody outside. Nor is one given in the unit: a cgroup that hands
// controllers on may hold no process, and systemd could not start the agent's successor beside an etcd that runs on.

/// <summary>The cgroup (v2) of a member's process: what it uses is counted by itself, and its end is the end of all that it began.</summary>
/// <param name="directory">Below that of the process that makes it.</param>
internal sealed class EtcdGroup(string directory)
{
    private const int EmptyTries = 50;
    private static readonly TimeSpan EmptyPause = TimeSpan.FromMilliseconds(10);

    public string DirectoryPath => directory;

    /// <summary><c>evenkeel-etcd-n1-1a2b3c4d</c>: readable, and different for every state directory of a machine.</summary>
    internal static string NameOf(EtcdMember member)
    {
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(member.StateDirectory));
        var name = new string([.. member.Node.Value.Where(c => char.IsAsciiLetterOrDigit(c) || c == '-').Take(32)]);
        return string.Create(CultureInfo.InvariantCulture, $"evenkeel-etcd-{name}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(path)).AsSpan(0, 4))}");
    }

    /// <summary>Gives a member's process its group; one that is in it already (an earlier agent put it there) stays where it is.</summary>
    /// <param name="reason">Why there is none, in words.</param>
    public static EtcdGroup? TryTake(EtcdMember member, int process, out string? reason)
    {
        try
        {
            var (mounts, name) = (File.ReadAllText("/proc/self/mountinfo"), NameOf(member));
            if (ControlGroups.Locate(mounts, File.ReadAllText($"/proc/{process}/cgroup")) is not { } theirs || ControlGroups.Locate(mounts, File.ReadAllText("/proc/self/cgroup")) is not { } ours)
            {
                reason = "no cgroup v2 hierarchy is mounted";
                return null;
            }

            reason = null;
            if (Path.GetFileName(theirs) == name)
            {
                return new EtcdGroup(theirs);
            }

            var group = new EtcdGroup(Directory.CreateDirectory(Path.Combine(ours, name)).FullName);
            CountMemory(ours);
            try
            {
                // All threads of it, and with them what they will begin.
                File.WriteAllText(Path.Combine(group.DirectoryPath, "cgroup.procs"), process.ToString(CultureInfo.InvariantCulture));
            }
            catch
            {
                Directory.Delete(group.DirectoryPath);
                throw;
            }

            return group;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            reason = exception.Message;
            return null;
        }
    }

    /// <summary>Kills whatever is in it (cgroup.kill, Linux 5.14; before that its main process is all that can be killed).</summary>
    public void Kill()
    {
        try
        {
            if (Path.Combine(directory, "cgroup.kill") is var file && File.Exists(file))
            {
                File.WriteAllText(file, "1");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Gone meanwhile.
        }
    }

    /// <summary>After the end of the main process: kills what it left, and takes the group away; half a second at most.</summary>
    public async Task EndAsync()
    {
        Kill();
        for (var tries = 0; tries < EmptyTries && Directory.Exists(directory); tries++)
        {
            try
            {
                Directory.Delete(directory);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // What was killed needs a moment to be gone; the next start uses the directory again.
                await Task.Delay(EmptyPause).ConfigureAwait(false);
            }
        }
    }

    // Only where the agent's own cgroup may hand it on (the hierarchy's root, for instance): the processor's time is counted without.
    private static void CountMemory(string parent)
    {
        try
        {
            if (File.ReadAllText(Path.Combine(parent, "cgroup.controllers")).Split(' ', '\n').Contains("memory"))
            {
                File.WriteAllText(Path.Combine(parent, "cgroup.subtree_control"), "+memory");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // EBUSY: it has processes of its own.
        }
    }
}
