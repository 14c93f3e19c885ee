namespace Evenkeel.Services.Process;

/// <summary>Names of signals that ask a process to stop, without <c>SIG</c> (signal(7), x86 and ARM).</summary>
internal static class SignalNumbers
{
    /// <exception cref="ArgumentException">No such name; the configuration check allows no others.</exception>
    public static int Of(string name) => name.ToUpperInvariant().Replace("SIG", "", StringComparison.Ordinal) switch
    {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "KILL" => 9,
        "USR1" => 10,
        "USR2" => 12,
        "TERM" => 15,
        "WINCH" => 28,
        _ => throw new ArgumentException($"unknown signal '{name}'"),
    };
}
