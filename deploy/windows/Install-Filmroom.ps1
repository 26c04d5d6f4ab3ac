<#
.SYNOPSIS
  Filmroom as a Windows service: firewall rule, Start-menu entries, uninstall.

  *** UNTRIED. *** Written on Linux, where neither Windows nor PowerShell was at hand: read it before you run it, and tell
  what it did. Only the C# below was compiled (by mono's compiler, as C# 5). The rest of FWD-5 (systemd, container) is
  tried; this file is not, and nothing else depends on it.

.DESCRIPTION
  Windows wants a service to answer its Service Control Manager, which a Python program does not. A small host in C# is
  compiled here by Windows PowerShell 5.1 itself; it starts the filmroom command, starts it again when it fails, and ends
  it when the service stops. A job object holds the command and the roles it starts: none of them outlives the others. It
  runs as the virtual account NT SERVICE\<name>, which may write to the folders of the data and nowhere else. What was
  acknowledged is on the disk before it is acknowledged, so a hard end loses nothing.
  The program has to lie where only administrators write and the account may read: a virtual environment below
  C:\Program Files, made with a Python that was installed for all users.

.EXAMPLE
  .\Install-Filmroom.ps1 -Forwarder C:\Temp\forwarder.json -Boot -Firewall
  .\Install-Filmroom.ps1 -Uninstall            # the data stay
  .\Install-Filmroom.ps1 -Uninstall -Purge     # the data go too
  .\Install-Filmroom.ps1 -Status
#>
#Requires -Version 5.1
#Requires -PSEdition Desktop
[CmdletBinding(SupportsShouldProcess)]
param(
  [string] $Program = "$env:ProgramFiles\Filmroom\Scripts\filmroom.exe",
  [string] $Forwarder = '',
  [string] $Data = "$env:ProgramData\Filmroom",
  [string] $Name = 'Filmroom',
  [string] $Address = 'http://127.0.0.1:8000/',
  [switch] $Boot,
  [switch] $Firewall,
  [switch] $Uninstall,
  [switch] $Purge,
  [switch] $Status
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$ServiceHost = Join-Path $env:ProgramFiles 'Filmroom Service\FilmroomService.exe'
$Menu = Join-Path $env:ProgramData 'Microsoft\Windows\Start Menu\Programs\Filmroom'
$Rule = "Filmroom DICOM ($Name)"

$Source = @'
using System;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.ServiceProcess;
using System.Threading;

// Processes that end together: when the last handle of the job is closed, and that happens with our own end too.
public sealed class Job : IDisposable {
  [StructLayout(LayoutKind.Sequential)] private struct Basic {
    public long ProcessTime, JobTime; public uint Flags; public UIntPtr MinimumSet, MaximumSet;
    public uint Processes; public UIntPtr Affinity; public uint Priority, Scheduling;
  }
  [StructLayout(LayoutKind.Sequential)] private struct Extended {
    public Basic Basic; public ulong Reads, Writes, Others, ReadBytes, WriteBytes, OtherBytes;
    public UIntPtr ProcessMemory, JobMemory, PeakProcess, PeakJob;
  }
  [DllImport("kernel32.dll", SetLastError = true, CharSet = CharSet.Unicode)] private static extern IntPtr CreateJobObject(IntPtr security, string name);
  [DllImport("kernel32.dll", SetLastError = true)] private static extern bool SetInformationJobObject(IntPtr job, int kind, ref Extended limits, int length);
  [DllImport("kernel32.dll", SetLastError = true)] private static extern bool AssignProcessToJobObject(IntPtr job, IntPtr process);
  [DllImport("kernel32.dll")] private static extern bool TerminateJobObject(IntPtr job, uint code);
  [DllImport("kernel32.dll")] private static extern bool CloseHandle(IntPtr handle);

  private const int ExtendedLimits = 9;
  private const uint KillOnClose = 0x2000;
  private readonly IntPtr handle;

  public Job() {
    handle = CreateJobObject(IntPtr.Zero, null);
    var limits = new Extended();
    limits.Basic.Flags = KillOnClose;
    if (handle == IntPtr.Zero || !SetInformationJobObject(handle, ExtendedLimits, ref limits, Marshal.SizeOf(limits)))
      throw new System.ComponentModel.Win32Exception();
  }
  public void Add(Process process) {
    if (!AssignProcessToJobObject(handle, process.Handle)) throw new System.ComponentModel.Win32Exception();
  }
  public void End() { TerminateJobObject(handle, 1); }
  public void Dispose() { CloseHandle(handle); }
}

public class FilmroomService : ServiceBase {
  private readonly string program, arguments;
  private readonly object gate = new object();
  private volatile bool stopping;
  private Job running;
  private Thread keeper;

  public FilmroomService(string name, string program, string arguments) {
    ServiceName = name; this.program = program; this.arguments = arguments; AutoLog = false;
  }
  protected override void OnStart(string[] ignored) {
    keeper = new Thread(Keep); keeper.IsBackground = true; keeper.Start();
  }
  private void Keep() {
    while (true) {
      try {
        using (var job = new Job()) {
          Process child;
          lock (gate) {  // a stop comes before the start or after it, never in between
            if (stopping) return;
            child = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, CreateNoWindow = true });
            job.Add(child);  // before it has come to start its roles, which then belong to the job too
            running = job;
          }
          child.WaitForExit();
          lock (gate) { running = null; }
        }
        if (!stopping) Tell("Filmroom has ended and is started again.", EventLogEntryType.Warning);
      } catch (Exception fault) {
        lock (gate) { running = null; }
        Tell("Filmroom cannot be started: " + fault.Message, EventLogEntryType.Error);
      }
      if (stopping) return;
      Thread.Sleep(2000);
    }
  }
  private void Tell(string words, EventLogEntryType kind) {
    try { EventLog.WriteEntry(ServiceName, words, kind); } catch (Exception) { }  // a full log must not end the service
  }
  protected override void OnStop() {
    lock (gate) { stopping = true; if (running != null) running.End(); }
    keeper.Join(4000);
  }
  public static void Main(string[] given) {
    // name, program, then the rest as the program's own arguments
    var rest = new string[Math.Max(0, given.Length - 2)];
    for (int n = 2; n < given.Length; n++) rest[n - 2] = "\"" + given[n] + "\"";
    Run(new FilmroomService(given[0], given[1], string.Join(" ", rest)));
  }
}
'@

function Test-Administrator {
  $me = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
  $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

# A native program says by its exit code that it failed, which PowerShell itself does not look at.
function Invoke-Native([string] $File, [string[]] $Arguments) {
  $said = & $File @Arguments
  if ($LASTEXITCODE -ne 0) { throw "$File $($Arguments -join ' ') failed ($LASTEXITCODE): $said" }
  $said
}

function Get-Arguments {
  $found = @('serve', '--data', $Data)
  if ($Forwarder) { $found += @('--headless', '--config', (Join-Path $Data 'forwarder.json')) }
  $found
}

function New-Shortcut([string] $Title, [string] $Target, [string] $Arguments = '', [switch] $Elevated) {
  $path = Join-Path $Menu "$Title.lnk"
  $link = (New-Object -ComObject WScript.Shell).CreateShortcut($path)
  $link.TargetPath = $Target
  $link.Arguments = $Arguments
  $link.Save()
  if ($Elevated) {  # MS-SHLLINK 2.1.1: bit 13 of the flags, RunAsUser
    $bytes = [IO.File]::ReadAllBytes($path)
    $bytes[0x15] = $bytes[0x15] -bor 0x20
    [IO.File]::WriteAllBytes($path, $bytes)
  }
}

function Install-It {
  if (-not (Test-Path $Program)) { throw "$Program is not there. Install the wheel into a virtual environment first, and name its filmroom.exe by -Program." }
  if ($Program.StartsWith($env:USERPROFILE, 'OrdinalIgnoreCase')) { throw "$Program lies in somebody's home, which the service may not see." }
  if (Get-Service -Name $Name -ErrorAction SilentlyContinue) { throw "A service $Name is there already. Uninstall it first." }
  if (-not $PSCmdlet.ShouldProcess($Name, 'install the service')) { return }  # native programs know nothing of -WhatIf

  $options = @('config', '--data', $Data)
  if ($Forwarder) {
    foreach ($key in 'storage_dir', 'log_dir') {  # the file is copied, and relative folders count from where it lies
      $folder = (Get-Content -Raw $Forwarder | ConvertFrom-Json).PSObject.Properties[$key]
      if ($folder -and -not [IO.Path]::IsPathRooted($folder.Value)) { throw "$($Forwarder): write $key as a whole path." }
    }
    $options += @('--config', $Forwarder)
  }
  $config = @{}
  foreach ($line in (Invoke-Native $Program $options)) {
    $key, $value = $line -split ' = ', 2
    $config[$key] = $value
  }

  New-Item -ItemType Directory -Force -Path $Data, (Split-Path $ServiceHost), $Menu | Out-Null
  if ($Forwarder) { Copy-Item -Force $Forwarder (Join-Path $Data 'forwarder.json') }
  Add-Type -TypeDefinition $Source -OutputAssembly $ServiceHost -OutputType ConsoleApplication `
    -ReferencedAssemblies System, System.ServiceProcess
  if (-not [Diagnostics.EventLog]::SourceExists($Name)) { New-EventLog -LogName Application -Source $Name }

  $quoted = (@($ServiceHost, $Name, $Program) + (Get-Arguments) | ForEach-Object { '"' + $_ + '"' }) -join ' '
  $start = if ($Boot) { 'Automatic' } else { 'Manual' }
  New-Service -Name $Name -BinaryPathName $quoted -DisplayName 'Filmroom' -StartupType $start `
    -Description 'DICOM store and forward, archive and print station' | Out-Null
  # an account of its own with least rights, and again after a failure. Whatever fails here: it must not run as SYSTEM.
  try {
    Invoke-Native 'sc.exe' @('config', $Name, 'obj=', "NT SERVICE\$Name") | Out-Null
    Invoke-Native 'sc.exe' @('sidtype', $Name, 'unrestricted') | Out-Null
    Invoke-Native 'sc.exe' @('failure', $Name, 'reset=', '86400', 'actions=', 'restart/2000/restart/5000/restart/30000') | Out-Null
    Invoke-Native 'icacls.exe' @($Data, '/inheritance:r', '/grant:r', "NT SERVICE\${Name}:(OI)(CI)M", '*S-1-5-32-544:(OI)(CI)F', '*S-1-5-18:(OI)(CI)F') | Out-Null
    foreach ($folder in $config['store_dir'], $config['log_dir'] | Where-Object { $_ }) {
      New-Item -ItemType Directory -Force -Path $folder | Out-Null
      Invoke-Native 'icacls.exe' @($folder, '/grant', "NT SERVICE\${Name}:(OI)(CI)M") | Out-Null
    }
  } catch {
    & sc.exe delete $Name | Out-Null
    throw
  }

  if ($Firewall) {
    New-NetFirewallRule -DisplayName $Rule -Direction Inbound -Protocol TCP -LocalPort $config['dicom_port'] -Action Allow -Profile Domain, Private | Out-Null
  }
  if (-not $Forwarder) {  # a box without pages has none to open
    New-Shortcut 'Open Filmroom' "$env:SystemRoot\explorer.exe" $Address
    New-Shortcut 'Set-up' "$env:SystemRoot\explorer.exe" ($Address + 'settings/forwarder')
  }
  New-Shortcut 'Start' "$env:SystemRoot\System32\sc.exe" "start $Name" -Elevated
  New-Shortcut 'Stop' "$env:SystemRoot\System32\sc.exe" "stop $Name" -Elevated
  $logs = if ($config['log_dir']) { $config['log_dir'] } else { Join-Path $Data 'logs' }
  New-Shortcut 'Logs' "$env:SystemRoot\explorer.exe" ('"' + $logs + '"')
  Start-Service -Name $Name
  Write-Output "Filmroom is installed as the service $Name and listens on port $($config['dicom_port'])."
}

function Uninstall-It {
  if (-not $PSCmdlet.ShouldProcess($Name, 'uninstall the service')) { return }
  if (Get-Service -Name $Name -ErrorAction SilentlyContinue) {
    Stop-Service -Name $Name -ErrorAction SilentlyContinue
    Invoke-Native 'sc.exe' @('delete', $Name) | Out-Null
  }
  if ([Diagnostics.EventLog]::SourceExists($Name)) { Remove-EventLog -Source $Name }
  Get-NetFirewallRule -DisplayName $Rule -ErrorAction SilentlyContinue | Remove-NetFirewallRule
  if (Test-Path $Menu) { Remove-Item -Recurse -Force $Menu }
  if (Test-Path (Split-Path $ServiceHost)) { Remove-Item -Recurse -Force (Split-Path $ServiceHost) }
  if ($Purge) {
    if (Test-Path $Data) { Remove-Item -Recurse -Force $Data }
    Write-Output "Removed, with the data and their keys in $Data. Folders elsewhere that a forwarder's file named are left alone."
  } else {
    Write-Output "Removed. The data stay in $Data."
  }
}

if ($Status) {
  Get-Service -Name $Name | Format-List Name, Status, StartType
  & $Program status --data $Data
  exit $LASTEXITCODE
}
if (-not (Test-Administrator)) { throw 'Start this in a PowerShell that runs as administrator.' }
if ($Uninstall) { Uninstall-It } else { Install-It }
