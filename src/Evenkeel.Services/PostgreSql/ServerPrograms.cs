using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Services.PostgreSql;

/// <summary>PostgreSQL's own programs that make and mend a data directory: initdb, pg_basebackup, pg_rewind, pg_controldata.</summary>
internal sealed class ServerPrograms(string binaries, ServerUser user)
{
    /// <summary>The database's superuser, as initdb names it here and Debian names it everywhere.</summary>
    public const string Superuser = "postgres";

    public string Server => Path.Combine(binaries, "postgres");

    /// <summary>Checksums, so that pg_rewind works and damage is found; the superuser comes in by the private socket only.</summary>
    public async Task<ActionResult> InitialiseAsync(DataDirectory data, IReadOnlyList<string> arguments, TimeSpan limit, CancellationToken cancellation)
    {
        data.Prepare(data.Path);
        var made = await Tool.RunAsync(
            [Path.Combine(binaries, "initdb"), "-D", data.Path, "-U", Superuser, "--data-checksums", "--no-instructions", "--encoding=UTF8", "--auth=peer", .. arguments],
            user, limit, cancellation).ConfigureAwait(false);
        return made.Code == 0 ? ActionResult.Success : ActionResult.Failure($"initdb: {made.Complaint}");
    }

    public async Task<(ControlData? Data, ActionResult Result)> ReadAsync(DataDirectory data, CancellationToken cancellation)
    {
        var answer = await Tool.RunAsync([Path.Combine(binaries, "pg_controldata"), "-D", data.Path], user, TimeSpan.FromSeconds(10), cancellation).ConfigureAwait(false);
        try
        {
            return answer.Code == 0 ? (ControlData.Parse(answer.Output), ActionResult.Success) : (null, ActionResult.Failure($"pg_controldata: {answer.Complaint}"));
        }
        catch (FormatException unreadable)
        {
            return (null, ActionResult.Failure(unreadable.Message));
        }
    }

    /// <summary>A whole copy of the upstream into <see cref="DataDirectory.Copy"/>, durable; takes the data's place when it is complete.</summary>
    public async Task<ActionResult> CloneAsync(DataDirectory data, string connection, string? slot, TimeSpan limit, CancellationToken cancellation)
    {
        DataDirectory.Remove(data.Copy);
        data.Prepare(data.Copy);
        var copied = await Tool.RunAsync(
            [Path.Combine(binaries, "pg_basebackup"), "-D", data.Copy, "-d", connection, "--checkpoint=fast", "-X", "stream", "--no-password", .. slot is null ? Array.Empty<string>() : ["-S", slot]],
            user, limit, cancellation).ConfigureAwait(false);
        if (copied.Code != 0)
        {
            DataDirectory.Remove(data.Copy);
            return ActionResult.Failure($"pg_basebackup: {copied.Complaint}");
        }

        data.TakeCopy();
        return ActionResult.Success;
    }

    /// <summary>Undoes what the upstream's history lacks. It runs crash recovery itself where that is needed (from 13 on).</summary>
    public async Task<ActionResult> RewindAsync(DataDirectory data, string connection, TimeSpan limit, CancellationToken cancellation)
    {
        data.BecomePrimary(); // Its crash recovery runs a single-user server, which refuses to be a standby.
        var rewound = await Tool.RunAsync([Path.Combine(binaries, "pg_rewind"), "-D", data.Path, "--source-server=" + connection], user, limit, cancellation).ConfigureAwait(false);
        return rewound.Code == 0 ? ActionResult.Success : ActionResult.Failure($"pg_rewind: {rewound.Complaint}");
    }
}
