using System.Globalization;

namespace Evenkeel.Services.Systemd;

/// <summary>What <c>systemctl show</c> says of a unit (org.freedesktop.systemd1(5)).</summary>
internal sealed record UnitState(string Load, string Active, string Sub, string Result, int? MainProcess, string UnitFile, int Restarts)
{
    public bool IsLoaded => Load == "loaded";
    public bool IsActive => Active is "active" or "reloading";
    public bool IsGone => Active is "inactive" or "failed";
    /// <summary>systemd would start it at boot, before this cluster has decided anything.</summary>
    public bool StartsAtBoot => UnitFile is "enabled" or "enabled-runtime";

    public string Text => Result is "" or "success" ? $"{Active} ({Sub})" : $"{Active} ({Sub}), result {Result}";

    public static UnitState Parse(string text)
    {
        var values = text.Split('\n').Select(line => line.Split('=', 2)).Where(parts => parts.Length == 2)
            .DistinctBy(parts => parts[0]).ToDictionary(parts => parts[0], parts => parts[1].Trim(), StringComparer.Ordinal);
        return new UnitState(Of("LoadState"), Of("ActiveState"), Of("SubState"), Of("Result"), Number("MainPID") is > 0 and var process ? process : null,
            Of("UnitFileState"), Number("NRestarts") ?? 0);

        string Of(string name) => values.GetValueOrDefault(name, "");
        int? Number(string name) => int.TryParse(Of(name), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }
}
