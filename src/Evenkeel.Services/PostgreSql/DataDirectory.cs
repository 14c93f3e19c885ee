using System.Globalization;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// The files of one data directory that we read and write, and its companions: <c>.new</c> (a copy under way), <c>.old</c>
/// (what a complete copy replaced), <c>.aside</c> (what was too old to start, before a restore), <c>.run</c> (socket, certificates). What we write is durable and belongs to the server's user.
/// </summary>
internal sealed class DataDirectory(string path, ServerUser user)
{
    private const string EpochFile = "evenkeel.epoch";
    private const string StandbySignal = "standby.signal";
    public const string VersionFile = "PG_VERSION";
    public const string ReplacedSuffix = ".old";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnersDirectory = OwnerOnly | UnixFileMode.UserExecute;

    public string Path { get; } = path;
    public string Copy => Path + ".new";
    public string Replaced => Path + ReplacedSuffix;
    public string Aside => Path + ".aside";
    public string EpochPath => In(EpochFile);
    public bool HasData => File.Exists(In(VersionFile)) && File.Exists(In("global/pg_control"));
    public bool IsEmpty => !Directory.Exists(Path) || !Directory.EnumerateFileSystemEntries(Path).Any();

    /// <summary>Beside the data and not in the agent's state directory, which the server's user cannot enter.</summary>
    public string Run => SocketDirectory.Of(Path);

    public int? Major => HasData && int.TryParse(File.ReadAllText(In(VersionFile)).Trim().Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : null;

    /// <summary>The highest epoch that this data has seen; lower ones are refused (safety rule 7).</summary>
    public Epoch Epoch => Read(EpochFile) is { } text && text.Trim().Split('.') is [var incarnation, var number]
        && int.TryParse(incarnation, NumberStyles.None, CultureInfo.InvariantCulture, out var first) && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var second)
            ? new Epoch(first, second) : Epoch.None;

    public bool IsStandby => File.Exists(In(StandbySignal)) || File.Exists(In("recovery.signal"));

    /// <summary>
    /// No less than how far this data at rest goes. A primary has more log than its control file tells, up to the end of its last file, and
    /// none of its standbys has more, also when it is to start as a standby next; a copy of a running primary that never started looks alike,
    /// but has a label.
    /// </summary>
    public long End(ControlData control)
    {
        if (!(control.WasPrimaryAndCrashed || control.WasPrimaryAndClosed) || File.Exists(In("backup_label")) || !Directory.Exists(In("pg_wal")))
        {
            return control.Position;
        }

        var last = Directory.EnumerateFiles(In("pg_wal")).Select(System.IO.Path.GetFileName)
            .Where(file => file!.StartsWith(control.Timeline.ToString("X8", CultureInfo.InvariantCulture), StringComparison.Ordinal))
            .Max(file => WalPosition.SegmentOf(file!, control.SegmentBytes));
        return Math.Max(control.Position, ((last ?? -1) + 1) * control.SegmentBytes);
    }

    /// <summary>On disk when it returns; never goes back.</summary>
    public void Persist(Epoch epoch)
    {
        if (epoch > Epoch)
        {
            Write(EpochFile, epoch + "\n");
        }
    }

    public void BecomeStandby() => Write(StandbySignal, "");

    public void BecomePrimary()
    {
        File.Delete(In(StandbySignal));
        Native.SyncDirectory(Path);
    }

    /// <returns>Whether it changed.</returns>
    public bool Write(string name, string text)
    {
        if (Read(name) == text)
        {
            return false;
        }

        WriteWhole(In(name), Encoding.UTF8.GetBytes(text));
        return true;
    }

    /// <summary>What ALTER SYSTEM and others wrote over our files.</summary>
    public string Altered => Read(AlteredSettings.FileName) ?? "";

    /// <summary>Ours is the last line of <c>postgresql.conf</c>, so that it wins.</summary>
    public void IncludeOurs()
    {
        var lines = (Read("postgresql.conf") ?? "").TrimEnd().Split('\n').Where(line => line.Trim() != ServerConfiguration.Include);
        Write("postgresql.conf", string.Join('\n', lines) + "\n" + ServerConfiguration.Include + "\n");
    }

    /// <summary>Makes the directory of the socket, open to the server's user alone.</summary>
    /// <exception cref="IOException">Somebody else's is in its place.</exception>
    public void PrepareRun()
    {
        if (File.GetAttributes(Directory.CreateDirectory(Run, OwnersDirectory).FullName).HasFlag(FileAttributes.ReparsePoint))
        {
            throw new IOException($"{Run} is a link: remove it");
        }

        user.Own(Run);
        File.SetUnixFileMode(Run, OwnersDirectory);
    }

    /// <summary>The server's copies of the certificates: its key must belong to its user.</summary>
    public TlsFiles? PrepareCertificates(TlsFiles? given)
    {
        if (given is null)
        {
            return null;
        }

        string Take(string from, string name)
        {
            var to = System.IO.Path.Combine(Run, name);
            var bytes = File.ReadAllBytes(from);
            if (!File.Exists(to) || !File.ReadAllBytes(to).AsSpan().SequenceEqual(bytes))
            {
                WriteWhole(to, bytes);
            }

            return to;
        }

        return new TlsFiles(Take(given.Authority, "ca.crt"), Take(given.Certificate, "node.crt"), Take(given.Key, "node.key"));
    }

    /// <summary>An empty directory for initdb or a copy, with its parents.</summary>
    public void Prepare(string path)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        Directory.CreateDirectory(path, OwnersDirectory);
        user.Own(path);
        File.SetUnixFileMode(path, OwnersDirectory);
    }

    /// <summary>The complete copy takes the data's place; what was there goes only then.</summary>
    public void TakeCopy()
    {
        var parent = System.IO.Path.GetDirectoryName(Path)!;
        Remove(Replaced);
        if (Directory.Exists(Path))
        {
            Directory.Move(Path, Replaced);
        }

        Directory.Move(Copy, Path);
        Native.SyncDirectory(parent);
        Remove(Replaced);
    }

    /// <summary>Nothing is deleted: one such directory is kept, and a second must wait for a person.</summary>
    /// <returns>Whether it could be moved; not where another is in the way, or where it is a mount point.</returns>
    public bool PutAside()
    {
        if (Directory.Exists(Aside))
        {
            return false;
        }

        try
        {
            Directory.Move(Path, Aside);
            Native.SyncDirectory(System.IO.Path.GetDirectoryName(Path)!);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>A crash between the two renames of <see cref="TakeCopy"/> left the data under its other name.</summary>
    public void Recover()
    {
        if (!Directory.Exists(Path) && Directory.Exists(Replaced))
        {
            Directory.Move(Replaced, Path);
        }
    }

    public static void Remove(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    private string In(string name) => System.IO.Path.Combine(Path, name);
    private string? Read(string name) => File.Exists(In(name)) ? File.ReadAllText(In(name)) : null;

    private void WriteWhole(string path, byte[] bytes)
    {
        var fresh = path + ".evenkeel-new";
        File.Delete(fresh);
        using (var stream = new FileStream(fresh, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        {
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
        }

        user.Own(fresh);
        File.Move(fresh, path, overwrite: true);
        Native.SyncDirectory(System.IO.Path.GetDirectoryName(path)!);
    }
}
